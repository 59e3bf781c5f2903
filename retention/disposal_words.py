"""Words of the certificate of clearing, in the languages of the screen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_ZH: Final = {
    "title": "清除证明",
    "opening": "兹证明：清除批次 {number} 所列 {items} 份音像记录，经依规认定无保存价值、批准并公示期满后，"
    "已从全部存储中清除；"
    "清除后已在各存储逐一查找，{result}。每一份的清除均记入保管链日志，可凭条目号独立验证。",
    "opening_automatic": "兹证明：清除批次 {number} 所列 {items} 份音像记录，依下述清除认定并公示期满后，"
    "由系统自动从全部存储中清除；清除后已在各存储逐一查找，{result}。每一份的清除均记入保管链日志，可凭条目号独立验证。",
    "result": "均未找到",
    "result_shared": "除表中注明者外均未找到；注明者的相同字节另有记录或材料需要，仍予保留",
    "mode": "清除方式",
    "review": "人工审查批准",
    "automatic": "依清除认定自动清除",
    "proposed_at": "拟清除时间",
    "notice": "公示期",
    "notice_text": "{days} 日，至 {until}",
    "items": "清除份数",
    "bytes": "清除字节数",
    "left_out": "未清除份数",
    "reviewer": "审查人",
    "approver": "批准人",
    "none": "（无）",
    "list_sha256": "清单校验值（SHA-256）",
    "statement": "无保存价值的认定",
    "determination": "清除认定",
    "determination_text": "依据清除认定 {number}（文号：{document_number}，签署人：{signatory}，有效期：{valid_from} 至 "
    "{valid_until}，"
    "核对确认人：{confirmed_by}）。",
    "scan_sha256": "签署件扫描校验值（SHA-256）",
    "supervision": "监督",
    "supervised": "到场监督人员：{names}。",
    "unsupervised": "本批清除没有人员到场监督：由系统逐份执行并查验，过程见保管链日志。",
    "unsupervised_automatic": "本批由系统依认定自动清除，没有人员到场监督：过程见保管链日志。",
    "cleared": "已清除的记录",
    "no": "序号",
    "recording": "记录标识",
    "sha256": "SHA-256",
    "size": "字节数",
    "recorded": "录制开始",
    "category": "分类",
    "kept": "保存期限表",
    "at": "清除时间",
    "entry": "条目号",
    "found": "查找结果",
    "absent": "{objects} 个对象在 {stores} 均未找到",
    "shared": "；{objects} 个对象的相同字节另有记录或材料需要，仍保留",
    "shared_original": "；其中包括原件的字节",
    "duplicate": "重复件，无自有字节",
    "looked": "查找对象包括原件、衍生件（封面、缩略图、浏览副本）与清单文件；查找结果写入各记录的清除条目。",
    "not_cleared": "列入后未清除的记录",
    "why": "原因",
    "since": "时间",
    "keys": "密钥",
    "keys_none": "本站的存储未加密：字节已清除，没有密钥需要销毁。",
    "keys_destroyed": "已销毁数据密钥 {count} 个，密文即使残留也无法读取。",
    "keys_backups": "备份中可能留有的密钥，最迟于 {until} 随旧备份一并清除。",
    "keys_backups_unknown": "本系统不自动备份：在系统之外另存的数据库副本中可能留有密钥，系统无法证明其已消失。",
    "json_sha256": "签名数据文件校验值（SHA-256）",
    "manager": "档案管理人员",
    "head": "单位负责人",
    "signed": "签字",
    "attached": "本证明的签名数据",
    "why-held": "暂停清除",
    "why-permanent": "长期保存",
    "why-no-date": "没有到期日",
    "why-keep": "尚未到期",
    "why-flagged": "已标记",
    "why-unclassified": "未分类",
    "why-in-batch": "列于另一批次",
    "why-gone": "已清除",
    "why-linked-case": "属于案卷",
    "why-linked-procedure": "属于未结程序",
    "why-linked-use": "正在调用",
    "why-category-not-named": "认定未包括该分类",
    "why-mode-is-review": "已改为人工审查",
    "why-case-number": "标有案号",
    "why-marked": "设备重点标记",
    "why-needed": "工作仍需要",
    "why-complaint": "可能有投诉或信访",
    "why-case": "属于案件或程序",
    "why-unsure": "内容不明",
    "why-other": "其他原因",
    "why-bytes-differ": "字节与清单不符",
    "why-not-listed": "同一字节的另一份未列入",
    "why-not-stored": "未完成入库",
    "why-not-known": "情况不明",
    "why-clock-not-believed": "时钟不可信",
}
_EN: Final = {
    "title": "Certificate of clearing",
    "opening": "The {items} recordings listed in clearing batch {number}, determined to have no preservation value, "
    "approved, and "
    "after the notice, were cleared from every store; each store was searched afterwards and {result}. The clearing of each is "
    "an entry of the custody log and can be verified by its index.",
    "opening_automatic": "The {items} recordings listed in clearing batch {number} were cleared from every store by the service, "
    "by the determination below and after the notice; each store was searched afterwards and {result}. The clearing of each is "
    "an entry of the custody log and can be verified by its index.",
    "result": "none was found",
    "result_shared": "none was found but what the table says: the same bytes are needed by something else and stay",
    "mode": "Mode",
    "review": "reviewed and approved by persons",
    "automatic": "automatic, by determination",
    "proposed_at": "Proposed",
    "notice": "Notice",
    "notice_text": "{days} days, until {until}",
    "items": "Cleared",
    "bytes": "Bytes cleared",
    "left_out": "Not cleared",
    "reviewer": "Reviewed by",
    "approver": "Approved by",
    "none": "(none)",
    "list_sha256": "SHA-256 of the list",
    "statement": "Determination of no preservation value",
    "determination": "Determination",
    "determination_text": "By determination {number} (document {document_number}, signed by {signatory}, valid from "
    "{valid_from} until "
    "{valid_until}, confirmed by {confirmed_by}).",
    "scan_sha256": "SHA-256 of the signed scan",
    "supervision": "Supervision",
    "supervised": "Present and watching: {names}.",
    "unsupervised": "Nobody was present to watch: the service cleared item by item and looked; the custody log tells how.",
    "unsupervised_automatic": "The service cleared this batch by the determination; nobody was present to watch. The custody log "
    "tells "
    "how.",
    "cleared": "Recordings cleared",
    "no": "No.",
    "recording": "Recording",
    "sha256": "SHA-256",
    "size": "Bytes",
    "recorded": "Recorded",
    "category": "Category",
    "kept": "Schedule",
    "at": "Cleared",
    "entry": "Entry",
    "found": "Search",
    "absent": "{objects} objects absent in {stores}",
    "shared": "; the same bytes of {objects} objects are needed by other recordings or documents and stay",
    "shared_original": "; those of the original among them",
    "duplicate": "duplicate, no bytes of its own",
    "looked": "Searched for: the original, its derivatives (poster, contact sheet, viewing copies) and its "
    "manifest. The result stands in "
    "each recording's entry.",
    "not_cleared": "Listed and not cleared",
    "why": "Reason",
    "since": "Since",
    "keys": "Keys",
    "keys_none": "Stores are not encrypted here: the bytes were removed, there were no keys to destroy.",
    "keys_destroyed": "{count} data keys were destroyed: ciphertext that might remain cannot be read. ",
    "keys_backups": "Keys that backups may still hold are gone with old backups by {until} at the latest.",
    "keys_backups_unknown": "This service makes no backups: copies of the database kept outside of it may hold keys, of which "
    "nothing can "
    "be proved.",
    "json_sha256": "SHA-256 of the signed data",
    "manager": "Retention manager",
    "head": "Head of the unit",
    "signed": "Signatures",
    "attached": "The signed data of this certificate",
}


def words_of(lang: str) -> Mapping[str, str]:
    """The words in a language; Chinese where there is none."""
    return _EN if lang == "en" else _ZH
