"""The few words a document itself brings along (page, number, custody log), in the languages of the screen.

All other words of a document come in as data from the room that knows what is printed.
"""

from __future__ import annotations

from typing import Final, Literal

Language = Literal["zh-CN", "en"]

#: One row a word: the same keys in every language (held by a test).
WORDS: Final[dict[str, dict[str, str]]] = {
    "zh-CN": {
        "number": "编号",
        "page": "第 {n} 页 / 共 {total} 页",
        "checkpoint": "保管链检查点",
        "size": "条目数",
        "root": "根",
        "origin": "日志",
        "none": "尚无已发布的检查点",
        "zone": "时间均为北京时间（UTC+8）",
        "printed": "制作时间",
        "attached": "本文件附有机器可读数据 data.json",
        "yes": "是",
        "no": "否",
        "signature": "签名",
        "date": "日期",
        "day": "年　　月　　日",
        "empty": "（无）",
        "disc": "盘号",
        "copy": "套份",
        "order": "盘序",
        "unit": "制作单位",
        "maker": "制作人",
        "made": "制作时间",
        "matter": "案件或活动名称",
        "matter_number": "案号",
        "digest": "清单校验值（SHA-256）",
        "medium": "盘片",
        "files": "文件",
        "cover": "案卷",
        "archive": "归档号",
        "fonds": "全宗号",
        "catalogue": "目录号",
        "volume": "案卷号",
        "opened": "立案日期",
        "closed": "结案日期",
        "period": "保管期限",
        "pieces": "卷内件数",
        "pages": "卷内页数",
    },
    "en": {
        "number": "Number",
        "page": "Page {n} of {total}",
        "checkpoint": "Custody checkpoint",
        "size": "entries",
        "root": "root",
        "origin": "log",
        "none": "no published checkpoint yet",
        "zone": "All times are Beijing time (UTC+8)",
        "printed": "Made",
        "attached": "Machine-readable data is attached as data.json",
        "yes": "yes",
        "no": "no",
        "signature": "Signature",
        "date": "Date",
        "day": "",
        "empty": "(none)",
        "disc": "Disc",
        "copy": "Copy",
        "order": "Disc of set",
        "unit": "Producing unit",
        "maker": "Produced by",
        "made": "Produced on",
        "matter": "Case or activity",
        "matter_number": "Case number",
        "digest": "Manifest digest (SHA-256)",
        "medium": "Medium",
        "files": "Files",
        "cover": "Dossier",
        "archive": "Archive number",
        "fonds": "Fonds",
        "catalogue": "Catalogue",
        "volume": "Volume",
        "opened": "Opened",
        "closed": "Closed",
        "period": "Retention period",
        "pieces": "Documents",
        "pages": "Pages",
    },
}


def words(lang: Language) -> dict[str, str]:
    """The words of one language."""
    return WORDS[lang]
