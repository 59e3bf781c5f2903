#!/usr/bin/env python3
"""Check a Liuhen (留痕) custody log, or one recording against its proof, without trusting Liuhen.

This one file is the whole program: Python 3.8 or later, standard library only. It was written from the published
formats (docs/formats) and shares no line with the service that writes the log. The only thing you must bring is the
log's verification key (vkey), obtained from somewhere other than the directory under test.

    liuhen_verify.py log DIR --vkey KEY [--signatures all|sample|none] [--since CHECKPOINT]
    liuhen_verify.py proof FILE --recording MEDIA --vkey KEY [--disclosures FILE] [--station-key KEY]
    liuhen_verify.py compare CHECKPOINT CHECKPOINT --tiles DIR --vkey KEY

Exit codes: 0 everything was checked and is good; 1 something was changed or contradicts itself; 2 it cannot be decided
(a file is missing, an argument is wrong); 3 sound as far as checked, but not everything was checked.

Source: C2SP signed-note, tlog-checkpoint, tlog-tiles, tlog-proof; RFC 6962 and RFC 9162 section 2.1; RFC 8032; RFC 8785;
RFC 9901; DSSE v1.0.2; in-toto Statement v1.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import hashlib
import json
import locale
import os
import random
import re
import stat
import sys
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Callable, Tuple

TILE_WIDTH = 256
ENTRY_BYTES_MAX = 65_535
NOTE_BYTES_MAX = 1 << 20
BUNDLE_BYTES_MAX = TILE_WIDTH * (2 + ENTRY_BYTES_MAX)
FINDINGS_KEPT = 1_000
FINDINGS_SHOWN = 40
MISSING_MAX = 64
SAMPLE_ENTRIES = 512
BOOTSTRAP_ENTRIES_MAX = 16
FIRST_SEQ = 0
STATION = "station"  # the role whose keys sign entries
EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()

Verify = Callable[[bytes, bytes, bytes], bool]


# --- what can be wrong -----------------------------------------------------------------------------------------------
TAMPER, UNDECIDED, POLICY, NOTICE = "tamper", "undecided", "policy", "notice"
EXIT_CODES = {TAMPER: 1, UNDECIDED: 2, POLICY: 3, NOTICE: 0}

#: code -> (severity, Chinese, English). The codes are stable; ``--json`` prints them.
TEXTS: dict[str, tuple[str, str, str]] = {
    "file-missing": (UNDECIDED, "缺少文件 {path}", "the file {path} is missing"),
    "file-unreadable": (UNDECIDED, "无法读取 {path}：{reason}", "{path} cannot be read: {reason}"),
    "file-too-large": (TAMPER, "{path} 超过 {limit} 字节，不是本格式的文件", "{path} is larger than {limit} bytes and so no file of this format"),
    "too-many-missing": (UNDECIDED, "缺少的文件过多，检查中止", "too many files are missing; the check was stopped"),
    "vkey-invalid": (UNDECIDED, "验证公钥（vkey）无效（请给出公钥本身，或保存公钥的现有文件）：{reason}", "the verification key (vkey) is not valid (give the key itself, or a file that exists and holds it): {reason}"),
    "station-key-invalid": (UNDECIDED, "站点公钥无效，或不是该条目签名者的公钥", "the station key is not valid, or not the key of this entry's signer"),
    "self-test-failed": (UNDECIDED, "验证程序自检失败，本机结果不可用", "this verifier failed its self-test; it cannot be used on this machine"),
    "internal": (UNDECIDED, "验证程序内部错误（{reason}），请报告", "internal error of the verifier ({reason}); please report it"),
    "note-malformed": (TAMPER, "{path} 不是合规的检查点：{reason}", "{path} is not a well-formed checkpoint: {reason}"),
    "note-unsigned": (TAMPER, "{path} 没有您所持公钥的签名", "{path} carries no signature of the key you hold"),
    "note-signature-bad": (TAMPER, "{path} 的签名无效：检查点被改动，或不是该密钥所签", "the signature of {path} is wrong: the checkpoint was changed, or another key signed it"),
    "origin-mismatch": (TAMPER, "{path} 属于另一日志（{origin}）", "{path} belongs to another log ({origin})"),
    "tile-damaged": (TAMPER, "散列瓦片 {path} 与其条目不一致（自序号 {index} 的条目起）", "hash tile {path} disagrees with its entries (from entry {index})"),
    "tile-length": (TAMPER, "{path} 长度不对", "{path} has a wrong length"),
    "partial-stale": (TAMPER, "旧的部分瓦片 {path} 与完整内容不一致", "the older partial tile {path} disagrees with the full one"),
    "bundle-damaged": (TAMPER, "条目文件 {path} 结构损坏", "the entry bundle {path} is damaged"),
    "entry-altered": (TAMPER, "序号 {index} 的条目被改动：与签名检查点所覆盖的内容不一致", "entry {index} was altered: it is not what the signed checkpoint covers"),
    "root-mismatch": (TAMPER, "全部条目算出的根与签名检查点不一致：有条目被增、删、改或换序", "the root of all entries is not the signed one: entries were added, removed, changed or reordered"),
    "rolled-back": (TAMPER, "日志比您所持检查点（{old} 条）更短（{new} 条）", "the log ({new} entries) is shorter than the checkpoint you hold ({old} entries)"),
    "rewritten": (TAMPER, "前 {old} 条与您所持检查点不一致：历史被改写", "the first {old} entries are not those of the checkpoint you hold: history was rewritten"),
    "split-view": (TAMPER, "两个检查点条数相同（{old}）而根不同：日志对不同的人出示不同内容", "both checkpoints have {old} entries but different roots: the log showed different contents to different people"),
    "tiles-foreign": (TAMPER, "瓦片与较新的检查点（{new} 条）不一致", "the tiles do not match the newer checkpoint ({new} entries)"),
    "entry-malformed": (TAMPER, "序号 {index} 的条目不合格式：{reason}", "entry {index} is not well-formed: {reason}"),
    "schema-unknown": (UNDECIDED, "序号 {index} 的条目的格式版本本程序不认识", "entry {index} has a schema version this verifier does not know"),
    "entry-unsigned": (TAMPER, "序号 {index} 的条目的签名者 {signer} 未在日志中登记", "entry {index}: its signer {signer} was not introduced in the log"),
    "signer-unknown": (UNDECIDED, "序号 {index} 的条目：签名者 {signer} 的登记条目可能在缺失部分，无法核对", "entry {index}: the key of {signer} may have been introduced in the part that is missing"),
    "entry-signature-bad": (TAMPER, "序号 {index} 的条目的站点签名无效", "entry {index}: the station's signature is wrong"),
    "sequence-gap": (TAMPER, "序号 {index} 的条目：签名者 {signer} 的序号为 {got}，应为 {want}，有条目缺失或重复", "entry {index}: signer {signer} has sequence number {got} where {want} was due; entries are missing or repeated"),
    "previous-mismatch": (TAMPER, "序号 {index} 的条目：与签名者 {signer} 的上一条不衔接", "entry {index} does not follow from the previous entry of signer {signer}"),
    "subject-mismatch": (TAMPER, "序号 {index} 的条目：主体与内容不一致", "entry {index}: its subject contradicts its content"),
    "key-invalid": (TAMPER, "序号 {index} 的条目登记的密钥无效或与先前不同", "entry {index} introduces a key that is not valid or differs from before"),
    "opening-wrong": (TAMPER, "首条不是本日志的开启记录", "the first entry does not open this log"),
    "log-key-unlisted": (NOTICE, "日志中没有登记您所持的日志公钥", "the log holds no entry about the log key you hold"),
    "time-backwards": (NOTICE, "签名者 {signer} 的时间在序号 {index} 的条目处倒退（可能校时）", "the time of signer {signer} goes backwards at entry {index} (its clock may have been set)"),
    "signatures-unchecked": (POLICY, "按要求未逐条检查站点签名（已查 {checked} / {total}）", "as asked, not every station signature was checked ({checked} of {total})"),
    "log-empty": (POLICY, "日志为空", "the log is empty"),
    "proof-malformed": (TAMPER, "证明文件不合格式：{reason}", "the proof file is not well-formed: {reason}"),
    "proof-without-entry": (UNDECIDED, "证明文件中没有条目内容（extra）", "the proof file does not carry its entry (extra)"),
    "inclusion-failed": (TAMPER, "条目不在签名检查点所覆盖的日志中", "the entry is not in the log that the signed checkpoint covers"),
    "no-digest": (UNDECIDED, "该条目（{event}）未载明资料的校验值", "this entry ({event}) does not state a digest of the recording"),
    "recording-mismatch": (TAMPER, "文件与条目不符：{algorithm} 应为 {want}，实为 {got}", "the file is not the one entered: {algorithm} should be {want} and is {got}"),
    "size-mismatch": (TAMPER, "文件与条目不符：大小应为 {want} 字节，实为 {got} 字节", "the file is not the one entered: it should have {want} bytes and has {got}"),
    "sm3-unavailable": (NOTICE, "本机 Python 无 SM3，未核对 SM3（SHA-256 已核对）", "this Python has no SM3, so the SM3 value was not compared (SHA-256 was)"),
    "station-key-absent": (NOTICE, "未核对站点签名（可用 --station-key 给出站点公钥，或对整个日志运行 log）", "the station's own signature was not checked (give --station-key, or run `log` on the whole log)"),
    "clock-untrusted": (NOTICE, "站点当时的时钟未同步，所载时间仅供参考", "the station's clock was not synchronised; its time is only an indication"),
    "disclosure-malformed": (TAMPER, "披露文件不合格式", "the disclosures file is not well-formed"),
    "disclosure-foreign": (TAMPER, "第 {number} 项披露不属于该条目", "disclosure {number} does not belong to this entry"),
}  # fmt: skip

#: fact -> (Chinese, English)
LABELS: dict[str, tuple[str, str]] = {
    "origin": ("日志", "Log"),
    "size": ("条目总数", "Entries"),
    "root": ("检查点根", "Checkpoint root"),
    "signers": ("签名者", "Signers"),
    "signatures": ("已核对站点签名", "Station signatures checked"),
    "first_time": ("首条时间（站点时钟）", "First entry (station clock)"),
    "last_time": ("末条时间（站点时钟）", "Last entry (station clock)"),
    "since": ("所持旧检查点条数", "Entries in the checkpoint you hold"),
    "index": ("条目序号（从 0 起）", "Entry number (from 0)"),
    "event": ("事项", "Event"),
    "time": ("站点时间", "Station time"),
    "time_source": ("时钟状态", "Clock"),
    "time_uncertainty_ms": ("时钟误差上限（毫秒，-1 为不明）", "Clock error bound (ms, -1 unknown)"),
    "station": ("采集站", "Station"),
    "signer": ("签名者", "Signer"),
    "recording": ("资料编号", "Recording"),
    "file": ("文件", "File"),
    "file_bytes": ("文件大小（字节）", "File size (bytes)"),
    "sha256": ("文件 SHA-256", "File SHA-256"),
    "sm3": ("文件 SM3", "File SM3"),
    "older": ("较旧检查点条数", "Older checkpoint, entries"),
    "newer": ("较新检查点条数", "Newer checkpoint, entries"),
    "disclosed": ("披露", "Disclosed"),
}

VERDICTS = {
    ("log", 0): ("完好：全部条目、签名与检查点一致，未发现改动。", "Sound: all entries, signatures and the checkpoint agree; no change was found."),
    ("proof", 0): ("相符：该文件即条目所载的资料，条目在签名日志中。", "Match: this file is the recording that was entered, and the entry is in the signed log."),
    ("compare", 0): ("一致：较新的日志完整包含较旧的日志。", "Consistent: the newer log contains the older one unchanged."),
    ("", 1): ("不符：发现改动或自相矛盾，见上。", "Failed: a change or contradiction was found, see above."),
    ("", 2): ("无法判断：缺少文件或参数有误，见上。", "Undecided: something is missing or an argument is wrong, see above."),
    ("", 3): ("已查部分完好，但未全部检查，见上。", "Sound as far as checked, but not everything was checked, see above."),
}  # fmt: skip


class VerifyError(Exception):
    """The check cannot go on; carries the finding that says why."""

    def __init__(self, code: str, **params: object) -> None:
        super().__init__(code)
        self.finding = Finding(code, params)


@dataclass(frozen=True)
class Finding:
    """One thing to report: a stable code of :data:`TEXTS` and the values in its sentence."""

    code: str
    params: dict[str, object]

    @property
    def severity(self) -> str:
        """``tamper``, ``undecided``, ``policy`` or ``notice``."""
        return TEXTS[self.code][0]

    def text(self, lang: str) -> str:
        """The sentence, with untrusted values made printable."""
        shown = {name: printable(value) for name, value in self.params.items()}
        return TEXTS[self.code][1 if lang == "zh" else 2].format(**shown)


@dataclass
class Report:
    """What was found. Everything counts towards the exit code; of each severity only the first are kept in words."""

    command: str
    facts: dict[str, object] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    def add(self, code: str, **params: object) -> None:
        """Enter one finding."""
        self.enter(Finding(code, params))

    def enter(self, finding: Finding) -> None:
        """Enter a finding made elsewhere."""
        self.counts[finding.severity] = self.counts.get(finding.severity, 0) + 1
        if self.counts[finding.severity] <= FINDINGS_KEPT:  # a flood of hints must not crowd out what matters
            self.findings.append(finding)

    @property
    def exit_code(self) -> int:
        """Tampering outweighs doubt, doubt outweighs an unmet policy."""
        return next((EXIT_CODES[s] for s in (TAMPER, UNDECIDED, POLICY) if self.counts.get(s)), 0)

    def verdict(self, lang: str) -> str:
        """The last line."""
        code = self.exit_code
        return VERDICTS[self.command if code == 0 else "", code][0 if lang == "zh" else 1]

    def as_json(self, lang: str) -> str:
        """Machine-readable form, one line."""
        findings = [
            {
                "code": f.code,
                "severity": f.severity,
                "text": f.text(lang),
                "params": {name: str(value) for name, value in f.params.items()},
            }
            for f in self.findings
        ]
        facts = {name: value if isinstance(value, (int, list)) else str(value) for name, value in self.facts.items()}
        document = {"command": self.command, "exit": self.exit_code, "verdict": self.verdict(lang), "facts": facts}
        return json.dumps({**document, "counts": self.counts, "findings": findings}, ensure_ascii=True)

    def as_text(self, lang: str) -> str:
        """Form for people."""
        side = 0 if lang == "zh" else 1
        title = ("留痕 保管链独立验证", "Liuhen independent custody check")[side]
        marks = {
            TAMPER: ("不符", "FAILED"),
            UNDECIDED: ("无法判断", "UNDECIDED"),
            POLICY: ("未尽", "INCOMPLETE"),
            NOTICE: ("提示", "note"),
        }
        lines = [title, ""]
        colon = ("：", ": ")[side]
        for name, value in self.facts.items():
            if isinstance(value, list):
                lines += [f"  {LABELS[name][side]}{colon}{printable(item)}" for item in value]
            else:
                lines.append(f"  {LABELS[name][side]}{colon}{printable(value)}")
        lines += [""] if self.facts else []
        order = (TAMPER, UNDECIDED, POLICY, NOTICE)
        ranked = sorted(self.findings, key=lambda finding: order.index(finding.severity))
        lines += [f"  [{marks[f.severity][side]}] {f.text(lang)}" for f in ranked[:FINDINGS_SHOWN]]
        unseen = sum(self.counts.values()) - min(len(ranked), FINDINGS_SHOWN)
        if unseen:
            lines.append((f"  …… 另有 {unseen} 项", f"  ... and {unseen} more")[side])
        return "\n".join([*lines, *([""] if ranked else []), self.verdict(lang)])


def printable(untrusted: object) -> str:
    """Text that cannot steer a terminal: control, direction and other invisible characters become escapes."""
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in str(untrusted)
    )


# --- files from an untrusted directory -------------------------------------------------------------------------------
def read_file(path: Path, *, limit: int) -> bytes:
    """Read a regular file of at most ``limit`` bytes; pipes and devices are refused so that nothing can hang us."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise VerifyError("file-unreadable", path=path, reason="not a regular file")
        with path.open("rb") as source:
            content = source.read(limit + 1)
    except FileNotFoundError:
        raise VerifyError("file-missing", path=path) from None
    except (OSError, ValueError) as error:
        raise VerifyError("file-unreadable", path=path, reason=type(error).__name__) from None
    if len(content) > limit:
        raise VerifyError("file-too-large", path=path, limit=limit)
    return content


def text_or_file(argument: str) -> str:
    """A key given in words, or the name of a file that holds it."""
    try:
        is_file = Path(argument).is_file()
    except (OSError, ValueError):
        is_file = False
    if not is_file:
        return argument.strip()
    content = read_file(Path(argument), limit=NOTE_BYTES_MAX)
    # Editors and shells on Windows write UTF-16 or put a byte order mark in front.
    encoding = "utf-16" if content[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8-sig"
    return content.decode(encoding, "replace").strip()


def base64_strict(text: str) -> bytes:
    """Decode standard base64 that has exactly one spelling; raises ValueError otherwise."""
    decoded = base64.b64decode(text.encode("ascii"), validate=True)
    if base64.b64encode(decoded).decode() != text:
        raise ValueError("base64 is not canonical")
    return decoded


# --- Ed25519 (RFC 8032 section 5.1.7) ---------------------------------------------------------------------------------
_P = 2**255 - 19
_L = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, _P - 2, _P) % _P
_SQRT_M1 = pow(2, (_P - 1) // 4, _P)
_Point = Tuple[int, int, int, int]
_NEUTRAL: _Point = (0, 1, 1, 0)


def _add(a: _Point, b: _Point) -> _Point:
    e = (a[1] - a[0]) * (b[1] - b[0]) % _P
    f = (a[1] + a[0]) * (b[1] + b[0]) % _P
    g = 2 * a[3] * b[3] * _D % _P
    h = 2 * a[2] * b[2] % _P
    x, y, z, w = f - e, h - g, h + g, f + e
    return x * y % _P, z * w % _P, y * z % _P, x * w % _P


def _double(a: _Point) -> _Point:
    xx, yy = a[0] * a[0] % _P, a[1] * a[1] % _P
    zz, h = 2 * a[2] * a[2], xx + yy
    e, g = h - (a[0] + a[1]) * (a[0] + a[1]), xx - yy
    f = zz + g
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _decompress(encoded: bytes) -> _Point | None:
    y = int.from_bytes(encoded, "little")
    sign, y = y >> 255, y & (1 << 255) - 1
    if y >= _P:
        return None
    u, v = (y * y - 1) % _P, (_D * y * y + 1) % _P
    x = u * pow(v, 3, _P) * pow(u * pow(v, 7, _P), (_P - 5) // 8, _P) % _P
    if v * x * x % _P != u:
        x = x * _SQRT_M1 % _P
    if v * x * x % _P != u or (x == 0 and sign):
        return None
    x = _P - x if x & 1 != sign else x
    return x, y, 1, x * y % _P


def _compress(point: _Point) -> bytes:
    inverse = pow(point[2], _P - 2, _P)
    x, y = point[0] * inverse % _P, point[1] * inverse % _P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def _multiples(point: _Point) -> list[_Point]:
    table = [_NEUTRAL]
    for _ in range(15):
        table.append(_add(table[-1], point))
    return table


_BASE_POINT = _decompress((4 * pow(5, _P - 2, _P) % _P).to_bytes(32, "little"))
_BASE = _multiples(_BASE_POINT or _NEUTRAL)


def verify_pure(public_key: bytes, signature: bytes, message: bytes) -> bool:
    """Ed25519 verification in plain Python (about 3 ms); the same strict checks as OpenSSL."""
    if len(public_key) != 32 or len(signature) != 64:
        return False
    point, s = _decompress(public_key), int.from_bytes(signature[32:], "little")
    if point is None or s >= _L:
        return False
    challenge = hashlib.sha512(signature[:32] + public_key + message).digest()
    k = int.from_bytes(challenge, "little") % _L
    minus_key = _multiples((_P - point[0], point[1], 1, _P - point[3]))
    result = _NEUTRAL
    for shift in range(252, -1, -4):  # [s]B - [k]A, four bits of both scalars at a time
        result = _double(_double(_double(_double(result))))
        result = _add(_add(result, _BASE[s >> shift & 15]), minus_key[k >> shift & 15])
    return _compress(result) == signature[:32]


def choose_verify(*, pure: bool) -> Verify:
    """The fastest Ed25519 at hand: `cryptography` when it is installed and wanted, else plain Python.

    Raises:
        VerifyError: The chosen implementation fails a test vector of RFC 8032 (section 7.1, test 2).
    """
    chosen: Verify = verify_pure
    if not pure:
        try:
            from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - optional at run time
            from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415 - as above
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException:  # missing, or broken: then it panics, which is no Exception, and would end in exit code 1
            return choose_verify(pure=True)

        def verify_fast(public_key: bytes, signature: bytes, message: bytes) -> bool:
            if len(public_key) != 32 or int.from_bytes(public_key, "little") & (1 << 255) - 1 >= _P:
                return False
            try:
                Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
            except (InvalidSignature, ValueError):
                return False
            return True

        chosen = verify_fast
    key = bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
    good = bytes.fromhex(
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )
    if not chosen(key, good, b"\x72") or chosen(key, good, b"\x73"):
        raise VerifyError("self-test-failed")
    return chosen


# --- signed notes and checkpoints -------------------------------------------------------------------------------------
@dataclass(frozen=True)
class VKey:
    """The key of a log: its name (also the log's origin), the four-byte key id and the raw Ed25519 key."""

    name: str
    key_id: bytes
    public_key: bytes


@dataclass(frozen=True)
class Checkpoint:
    """A verified checkpoint."""

    origin: str
    size: int
    root: bytes


def parse_vkey(argument: str) -> VKey:
    """Parse ``<name>+<8 hex digits>+<base64>`` or a file that holds it; the key id must fit name and key."""
    parts = text_or_file(argument).split("+", 2)
    try:
        name, stated, encoded = parts
        key_id, material = bytes.fromhex(stated), base64_strict(encoded)
    except ValueError:
        raise VerifyError("vkey-invalid", reason="<name>+<8 hex>+<base64>") from None
    if not name or len(stated) != 8 or len(material) != 33 or material[0] != 1:
        raise VerifyError("vkey-invalid", reason="Ed25519 (type 1)")
    try:
        expected = hashlib.sha256(name.encode() + b"\n" + material).digest()[:4]
    except UnicodeEncodeError:
        raise VerifyError("vkey-invalid", reason="UTF-8") from None
    if expected != key_id:
        raise VerifyError("vkey-invalid", reason="key id")
    return VKey(name, key_id, material[1:])


_SIGNATURE_LINE = re.compile(r"— ([^\s+]+) ([A-Za-z0-9+/=]+)")


def open_note(content: bytes, vkey: VKey, verify: Verify, *, path: object) -> str:
    """Return the text of a signed note after checking every signature of our key on it.

    Signatures of other keys are ignored, as the format demands.
    """
    try:
        note = content.decode("utf-8")
    except UnicodeDecodeError:
        raise VerifyError("note-malformed", path=path, reason="UTF-8") from None
    text, separator, signatures = note.rpartition("\n\n")
    if not separator or not signatures.endswith("\n") or any(c < " " and c != "\n" for c in note):
        raise VerifyError("note-malformed", path=path, reason="signed note")
    text += "\n"
    ours = 0
    for line in signatures[:-1].split("\n"):
        match = _SIGNATURE_LINE.fullmatch(line)
        try:
            blob = base64_strict(match[2]) if match else b""
        except ValueError:
            blob = b""
        if match is None or len(blob) < 5:
            raise VerifyError("note-malformed", path=path, reason="signature line")
        if match[1] == vkey.name and blob[:4] == vkey.key_id:
            if not verify(vkey.public_key, blob[4:], text.encode()):
                raise VerifyError("note-signature-bad", path=path)
            ours += 1
    if not ours:
        raise VerifyError("note-unsigned", path=path)
    return text


def open_checkpoint(content: bytes, vkey: VKey, verify: Verify, *, path: object) -> Checkpoint:
    """Check a checkpoint: signature, the three lines, and that it belongs to the log the key names."""
    lines = open_note(content, vkey, verify, path=path)[:-1].split("\n")
    if len(lines) != 3 or not re.fullmatch(r"0|[1-9][0-9]{0,17}", lines[1]):
        raise VerifyError("note-malformed", path=path, reason="origin, size, root")
    try:
        root = base64_strict(lines[2])
    except ValueError:
        root = b""
    if len(root) != 32:
        raise VerifyError("note-malformed", path=path, reason="root")
    if lines[0] != vkey.name:
        raise VerifyError("origin-mismatch", path=path, origin=lines[0][:200])
    return Checkpoint(lines[0], int(lines[1]), root)


# --- the tree ----------------------------------------------------------------------------------------------------------
def leaf_hash(entry: bytes) -> bytes:
    """RFC 6962: SHA-256(0x00 || entry)."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """RFC 6962: SHA-256(0x01 || left || right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def perfect_root(hashes: list[bytes]) -> bytes:
    """Root of 2^n hashes."""
    while len(hashes) > 1:
        hashes = [node_hash(hashes[i], hashes[i + 1]) for i in range(0, len(hashes), 2)]
    return hashes[0]


class Tree:
    """Grows leaf by leaf; remembers every hash of level 1 and above, and the open tile of level 0."""

    def __init__(self) -> None:
        self.levels: list[list[bytes]] = [[]]
        self.size = 0

    def add(self, leaf: bytes) -> None:
        """Append one leaf hash."""
        self.size += 1
        self.levels[0].append(leaf)
        if len(self.levels[0]) == TILE_WIDTH:
            self._carry(0, perfect_root(self.levels[0]))
            self.levels[0] = []

    def _carry(self, level: int, value: bytes) -> None:
        if len(self.levels) == level + 1:
            self.levels.append([])
        above = self.levels[level + 1]
        above.append(value)
        if len(above) % TILE_WIDTH == 0:
            self._carry(level + 1, perfect_root(above[-TILE_WIDTH:]))

    def root(self) -> bytes:
        """Root of everything added so far: the perfect subtrees of the right edge, folded from the smallest."""
        accumulated: bytes | None = None
        for hashes in self.levels:
            edge = hashes[len(hashes) - len(hashes) % TILE_WIDTH :]
            while edge:
                width = len(edge) & -len(edge)
                subtree = perfect_root(edge[-width:])
                accumulated = subtree if accumulated is None else node_hash(subtree, accumulated)
                edge = edge[:-width]
        return hashlib.sha256(b"").digest() if accumulated is None else accumulated


def inclusion_root(leaf: bytes, index: int, size: int, path: list[bytes]) -> bytes | None:
    """The root that an inclusion path leads to, or None when its length is wrong (RFC 9162 section 2.1.3.2)."""
    if not 0 <= index < size:
        return None
    node, last, result = index, size - 1, leaf
    for step in path:
        if last == 0:
            return None
        if node & 1 or node == last:
            result = node_hash(step, result)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            result = node_hash(result, step)
        node, last = node >> 1, last >> 1
    return result if last == 0 else None


def consistent(old: Checkpoint, new: Checkpoint, path: list[bytes]) -> bool:
    """Whether a consistency proof leads to both roots (RFC 9162 section 2.1.4.2); 0 < old.size < new.size."""
    steps = [old.root, *path] if old.size & old.size - 1 == 0 else list(path)
    if not steps:
        return False
    node, last = old.size - 1, new.size - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    first = second = steps[0]
    for step in steps[1:]:
        if last == 0:
            return False
        if node & 1 or node == last:
            first, second = node_hash(step, first), node_hash(step, second)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            second = node_hash(second, step)
        node, last = node >> 1, last >> 1
    return last == 0 and first == old.root and second == new.root


# --- tiles --------------------------------------------------------------------------------------------------------------
def tile_name(kind: str, number: int) -> str:
    """C2SP path of a tile: ``tile/<kind>/x001/x234/067``."""
    groups = [f"{number % 1000:03d}"]
    while number := number // 1000:
        groups.append(f"x{number % 1000:03d}")
    return f"tile/{kind}/" + "/".join(reversed(groups))


def read_tile(root: Path, kind: str, number: int, width: int, *, limit: int) -> tuple[str, bytes]:
    """Name and bytes of a tile of at least ``width`` items: the partial one of that width, else the full one."""
    name = tile_name(kind, number)
    if width < TILE_WIDTH:
        try:
            return f"{name}.p/{width}", read_file(root / f"{name}.p" / str(width), limit=limit)
        except VerifyError as error:
            if error.finding.code != "file-missing":
                raise
            try:  # a log that grew after its checkpoint was read may have dropped the partial tile
                return name, read_file(root / name, limit=limit)
            except VerifyError:
                raise error from None
    return name, read_file(root / name, limit=limit)


def older_partials(root: Path, kind: str, number: int, width: int) -> list[int]:
    """Widths of partial tiles beside a tile that must be its prefixes."""
    try:
        names = [path.name for path in (root / f"{tile_name(kind, number)}.p").iterdir()]
    except OSError:
        return []
    widths = {int(name) for name in names if re.fullmatch(r"[1-9][0-9]{0,2}", name)}
    return sorted(w for w in widths if w < min(width, TILE_WIDTH))


def split_bundle(content: bytes) -> list[bytes]:
    """Entries of a bundle; raises ValueError when the lengths do not add up."""
    entries: list[bytes] = []
    position = 0
    while position < len(content):
        length = int.from_bytes(content[position : position + 2], "big")
        position += 2
        if position + length > len(content) or len(entries) == TILE_WIDTH:
            raise ValueError("bundle")
        entries.append(content[position : position + length])
        position += length
    return entries


# --- entries ------------------------------------------------------------------------------------------------------------
PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "urn:liuhen:custody-event:1"
_TEXTS = ("entry", "event", "time", "time_source", "station", "signer", "prev", "_sd_alg")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII)
_HEX64 = re.compile(r"[0-9a-f]{64}")
_SD_DIGEST = re.compile(r"[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]")
_UUID7 = "[0-9a-f]{12}7[0-9a-f]{3}[89ab][0-9a-f]{15}"
_ENTRY_ID, _RECORDING_ID = re.compile("ent_" + _UUID7), re.compile("rec_" + _UUID7)
_INTEGER_MAX = 2**53 - 1
_NESTING_MAX = 32


@dataclass(frozen=True)
class Entry:
    """One custody entry, parsed strictly; its signature is not checked yet."""

    sha256: str
    signed: bytes
    signature: bytes
    subject_name: str
    subject_sha256: str
    predicate: dict[str, Any]

    @property
    def event(self) -> str:
        """Event type."""
        return str(self.predicate["event"])

    @property
    def signer(self) -> str:
        """Id of the station key."""
        return str(self.predicate["signer"])

    @property
    def data(self) -> dict[str, Any]:
        """Public fields of the event."""
        data: dict[str, Any] = self.predicate["data"]
        return data


def _ordered(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name.encode("utf-16-be", "surrogatepass") for name, _ in pairs]
    if any(names[i] >= names[i + 1] for i in range(len(names) - 1)):
        raise ValueError("member order")
    return dict(pairs)


def _no_float(text: str) -> Any:
    raise ValueError(text[:20])


def _integer(text: str) -> int:
    if len(text) > 17 or abs(int(text)) > _INTEGER_MAX:
        raise ValueError("integer beyond 2^53-1")
    return int(text)


def _check_nesting(value: Any, depth: int = 0) -> None:
    if depth > _NESTING_MAX:
        raise ValueError("nesting")
    if isinstance(value, (dict, list)):
        for inner in value.values() if isinstance(value, dict) else value:
            _check_nesting(inner, depth + 1)


def canonical_json(content: bytes) -> Any:
    """Parse RFC 8785 JSON within the bounds of an entry; raises ValueError for any other byte form of the same value."""
    try:
        value = json.loads(
            content.decode("utf-8"),
            object_pairs_hook=_ordered,
            parse_int=_integer,
            parse_float=_no_float,
            parse_constant=_no_float,
        )
        if content.count(b"{") + content.count(b"[") > _NESTING_MAX:
            _check_nesting(value)
        if json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8") != content:
            raise ValueError("not canonical")
    except RecursionError:
        raise ValueError("nesting") from None
    return value


def _members(value: Any, names: set[str]) -> dict[str, Any]:
    if not isinstance(value, dict) or set(value) != names:
        raise ValueError("members: " + ", ".join(sorted(names)))
    return value


def parse_entry(content: bytes) -> Entry:
    """Parse a DSSE envelope with a custody statement.

    Raises:
        ValueError: It is not exactly of the documented form.
        VerifyError: It is of a newer schema, which this program cannot judge.
    """
    if len(content) > ENTRY_BYTES_MAX:
        raise ValueError("size")
    envelope = _members(canonical_json(content), {"payload", "payloadType", "signatures"})
    payload = base64_strict(envelope["payload"]) if isinstance(envelope["payload"], str) else b""
    if envelope["payloadType"] != PAYLOAD_TYPE or not isinstance(envelope["signatures"], list):
        raise ValueError("envelope")
    if len(envelope["signatures"]) != 1:
        raise ValueError("one signature")
    signature = _members(envelope["signatures"][0], {"keyid", "sig"})
    sig = base64_strict(signature["sig"]) if isinstance(signature["sig"], str) else b""
    if len(sig) != 64:
        raise ValueError("signature length")
    statement = _members(canonical_json(payload), {"_type", "subject", "predicateType", "predicate"})
    if statement["_type"] != STATEMENT_TYPE or statement["predicateType"] != PREDICATE_TYPE:
        raise ValueError("statement type")
    subjects = statement["subject"]
    if not isinstance(subjects, list) or len(subjects) != 1:
        raise ValueError("subject")
    subject = _members(subjects[0], {"name", "digest"})
    digest = _members(subject["digest"], {"sha256"})["sha256"]
    if not isinstance(subject["name"], str) or not isinstance(digest, str) or not _HEX64.fullmatch(digest):
        raise ValueError("subject")
    predicate = _check_predicate(statement["predicate"])
    if predicate["signer"] != signature["keyid"]:
        raise ValueError("signer and keyid differ")
    signed = b"DSSEv1 %d %s %d " % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(payload)) + payload
    sha256 = hashlib.sha256(content).hexdigest()
    return Entry(sha256, signed, sig, subject["name"], digest, predicate)


def _check_predicate(untrusted: Any) -> dict[str, Any]:
    if isinstance(untrusted, dict) and type(untrusted.get("schema")) is int and untrusted["schema"] > 1:
        raise VerifyError("schema-unknown", index="?")
    predicate = _members(untrusted, {"schema", "seq", "time_uncertainty_ms", "data", "_sd", *_TEXTS})
    if predicate["schema"] != 1 or any(type(predicate[n]) is not int for n in ("schema", "seq", "time_uncertainty_ms")):
        raise ValueError("integers")
    if not all(isinstance(predicate[name], str) for name in _TEXTS) or not predicate["station"]:
        raise ValueError("texts")
    if not _ENTRY_ID.fullmatch(predicate["entry"]):
        raise ValueError("entry id")
    if predicate["seq"] < FIRST_SEQ or predicate["time_uncertainty_ms"] < -1:
        raise ValueError("integers")
    _check_time_and_prev(predicate)
    _check_data(predicate["data"])
    digests = predicate["_sd"]
    if predicate["_sd_alg"] != "sha-256" or not isinstance(digests, list):
        raise ValueError("_sd")
    if not all(isinstance(d, str) and _SD_DIGEST.fullmatch(d) for d in digests) or digests != sorted(set(digests)):
        raise ValueError("_sd")
    return predicate


def _check_time_and_prev(predicate: dict[str, Any]) -> None:
    if not _TIME.fullmatch(predicate["time"]):
        raise ValueError("time")
    datetime.fromisoformat(predicate["time"][:-1])  # a day or an hour that does not exist is a ValueError
    if (predicate["seq"] == FIRST_SEQ) != (predicate["prev"] == ""):
        raise ValueError("prev")
    if predicate["prev"] and not _HEX64.fullmatch(predicate["prev"]):
        raise ValueError("prev")


def _check_data(untrusted: Any) -> None:
    # Fields of single events are not judged: later versions add events, and this program must read them.
    everywhere = ("actor", "recording", "sha256")
    if not isinstance(untrusted, dict) or not all(isinstance(untrusted.get(name), str) for name in everywhere):
        raise ValueError("data")
    if untrusted["recording"] and not _RECORDING_ID.fullmatch(untrusted["recording"]):
        raise ValueError("recording id")


class Chain:
    """Follows the entries in log order: who may sign, every signature, every signer's unbroken sequence."""

    def __init__(self, report: Report, verify: Verify, origin: str, wanted: Callable[[int, str], bool]) -> None:
        self.report, self.verify, self.origin, self.wanted = report, verify, origin, wanted
        self.keys: dict[str, tuple[bytes, str]] = {}
        self.last: dict[str, tuple[int, str, str]] = {}
        self.held: list[tuple[int, Entry]] = []
        self.signers: set[str] = set()
        self.total = self.checked = 0
        self.first_time = self.last_time = ""
        self.complete = True

    def follow(self, index: int, content: bytes) -> None:
        """Check the next entry."""
        self.total += 1
        try:
            entry = parse_entry(content)
        except VerifyError as error:
            return self._break(error.finding.code, index=index)
        except ValueError as error:
            return self._break("entry-malformed", index=index, reason=str(error)[:120])
        if index == 0 and (entry.event, entry.data.get("origin")) != ("log.opened", self.origin):
            self.report.add("opening-wrong")
        self.signers.add(entry.signer)
        self.first_time = self.first_time or entry.predicate["time"]
        self.last_time = entry.predicate["time"]
        self._check_sequence(index, entry)
        self._check_subject(index, entry)
        if not any(role == STATION for _, role in self.keys.values()):
            return self._open_with(index, entry)
        return self._check_signature(index, entry)

    def skip(self) -> None:
        """Entries are missing here: sequences cannot be followed across the hole (already reported)."""
        self.last.clear()
        self.complete = False

    def end(self, vkey: VKey) -> None:
        """Report what only the whole log shows."""
        self._release_held()
        if self.complete and (vkey.public_key, "log") not in self.keys.values():
            self.report.add("log-key-unlisted")

    def _break(self, code: str, **params: object) -> None:
        self.report.add(code, **params)
        self.skip()

    def _open_with(self, index: int, entry: Entry) -> None:
        # The first entries are signed by a station key that one of them introduces: hold them until it shows up.
        self.held.append((index, entry))
        if (
            entry.event == "key.added"
            and entry.data.get("key_id") == entry.signer
            and entry.data.get("role") == STATION
        ):
            self._introduce(index, entry)
            self._release_held()
        elif len(self.held) > BOOTSTRAP_ENTRIES_MAX:
            self._release_held()

    def _release_held(self) -> None:
        held, self.held = self.held, []
        for index, entry in held:
            self._check_signature(index, entry)

    def _introduce(self, index: int, entry: Entry) -> None:
        key_id, role, encoded = (entry.data.get(name) for name in ("key_id", "role", "public_key"))
        try:
            raw = base64_strict(encoded) if isinstance(encoded, str) else b""
        except ValueError:
            raw = b""
        expected = hashlib.sha256(raw).hexdigest()[:16]
        if (
            not isinstance(role, str)
            or entry.data.get("algorithm") != "ed25519"
            or len(raw) != 32
            or key_id != expected
            or self.keys.setdefault(expected, (raw, role)) != (raw, role)
        ):
            self.report.add("key-invalid", index=index)

    def _check_signature(self, index: int, entry: Entry) -> None:
        key, role = self.keys.get(entry.signer, (b"", ""))
        if role != STATION:
            code = "entry-unsigned" if self.complete else "signer-unknown"
            self.report.add(code, index=index, signer=entry.signer[:64])
            return
        if self.wanted(index, entry.event):
            self.checked += 1
            if not self.verify(key, entry.signature, entry.signed):
                self.report.add("entry-signature-bad", index=index)
                return
        if entry.event == "key.added":
            self._introduce(index, entry)

    def _check_sequence(self, index: int, entry: Entry) -> None:
        seq, prev, time = (entry.predicate[name] for name in ("seq", "prev", "time"))
        before = self.last.get(entry.signer)
        self.last[entry.signer] = (seq, entry.sha256, time)
        if before is None:
            if self.complete and (seq != FIRST_SEQ or prev):
                self.report.add("sequence-gap", index=index, signer=entry.signer[:64], got=seq, want=FIRST_SEQ)
            return
        if seq != before[0] + 1:
            self.report.add("sequence-gap", index=index, signer=entry.signer[:64], got=seq, want=before[0] + 1)
        elif prev != before[1]:
            self.report.add("previous-mismatch", index=index, signer=entry.signer[:64])
        if time < before[2]:
            self.report.add("time-backwards", index=index, signer=entry.signer[:64])

    def _check_subject(self, index: int, entry: Entry) -> None:
        recording, stated = entry.data.get("recording", ""), entry.data.get("sha256", "")
        name = f"recording:{recording}" if recording and stated else f"entry:{entry.predicate['entry']}"
        digest = stated or entry.predicate["prev"] or EMPTY_SHA256
        if (entry.subject_name, entry.subject_sha256) != (name, digest):
            self.report.add("subject-mismatch", index=index)


# --- log ----------------------------------------------------------------------------------------------------------------
class LogCheck:
    """Walks a published log once: bundles, level-0 tiles, entries; then compares the tiles above and the root."""

    def __init__(self, directory: Path, checkpoint: Checkpoint, chain: Chain, report: Report) -> None:
        self.directory, self.checkpoint, self.chain, self.report = directory, checkpoint, chain, report
        self.by_entries, self.by_tiles = Tree(), Tree()
        self.suspects: list[tuple[int, str]] = []
        self.missing = self.holes = 0

    def run(self, old: Checkpoint | None) -> None:
        """Check everything below the checkpoint; ``old`` is a checkpoint the caller holds from before."""
        size = self.checkpoint.size
        if old and not old.size and old.root.hex() != EMPTY_SHA256:
            self.report.add("rewritten", old=0)
        for number in range((size + TILE_WIDTH - 1) // TILE_WIDTH):
            self._check_tile(number, min(TILE_WIDTH, size - number * TILE_WIDTH), old)
            if self.missing > MISSING_MAX:
                self.report.add("too-many-missing")
                return
        self._judge_root()

    def _fetch(self, kind: str, number: int, width: int, *, limit: int) -> tuple[str, bytes] | None:
        try:
            return read_tile(self.directory, kind, number, width, limit=limit)
        except VerifyError as error:
            self.report.enter(error.finding)
            self.missing += 1
            return None

    def _check_tile(self, number: int, width: int, old: Checkpoint | None) -> None:
        leaves = self._read_bundle(number, width)
        name, stored = self._read_hashes("0", number, width)
        for position in range(width):
            derived, kept = (hashes[position] if hashes else b"" for hashes in (leaves, stored))
            if derived and kept and derived != kept:
                self.suspects.append((number * TILE_WIDTH + position, name))
            self.holes += not derived and not kept
            self.by_entries.add(derived or kept)
            self.by_tiles.add(kept or derived)
            if old and self.by_entries.size == old.size:
                self._compare_with(old)
        self._check_older("0", number, b"".join(stored), 32)

    def _compare_with(self, old: Checkpoint) -> None:
        if not self.holes and old.root not in (self.by_entries.root(), self.by_tiles.root()):
            self.report.add("rewritten", old=old.size)

    def _read_bundle(self, number: int, width: int) -> list[bytes]:
        found = self._fetch("entries", number, width, limit=BUNDLE_BYTES_MAX)
        if found is None:
            self.chain.skip()
            return []
        name, content = found
        try:
            entries = split_bundle(content)
        except ValueError:
            entries = []
        if len(entries) < width or (len(entries) > width and ".p/" in name):
            self.report.add("bundle-damaged", path=name)
            self.chain.skip()
            return []
        entries = entries[:width]
        for position, entry in enumerate(entries):
            self.chain.follow(number * TILE_WIDTH + position, entry)
        for older in older_partials(self.directory, "entries", number, width):
            framed = b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries[:older])
            self._check_partial("entries", number, older, framed)
        return [leaf_hash(entry) for entry in entries]

    def _read_hashes(self, kind: str, number: int, width: int) -> tuple[str, list[bytes]]:
        found = self._fetch(kind, number, width, limit=TILE_WIDTH * 32)
        if found is None:
            return "", []
        name, content = found
        full = TILE_WIDTH if ".p/" not in name else width
        if len(content) != full * 32:
            self.report.add("tile-length", path=name)
            return name, []
        return name, [content[i : i + 32] for i in range(0, width * 32, 32)]

    def _check_older(self, kind: str, number: int, derived: bytes, unit: int) -> None:
        for older in older_partials(self.directory, kind, number, len(derived) // unit):
            self._check_partial(kind, number, older, derived[: older * unit])

    def _check_partial(self, kind: str, number: int, width: int, expected: bytes) -> None:
        name = f"{tile_name(kind, number)}.p/{width}"
        try:
            if read_file(self.directory / name, limit=BUNDLE_BYTES_MAX) != expected:
                self.report.add("partial-stale", path=name)
        except VerifyError as error:
            if error.finding.code != "file-missing":  # swept since it was listed: the log has filled the tile
                self.report.enter(error.finding)

    def _judge_root(self) -> None:
        if self.holes:  # without these leaves no root can be told; the missing files are reported
            return
        altered = self.by_entries.root() != self.checkpoint.root
        tiles_are_right = altered and self.by_tiles.root() == self.checkpoint.root
        for index, name in self.suspects:
            if tiles_are_right:
                self.report.add("entry-altered", index=index)
            else:
                self.report.add("tile-damaged", path=name, index=index)
        if altered and not tiles_are_right:
            self.report.add("root-mismatch")
        self._check_upper(self.by_tiles if tiles_are_right else self.by_entries)

    def _check_upper(self, tree: Tree) -> None:
        for level, hashes in enumerate(tree.levels[1:], start=1):
            for number in range((len(hashes) + TILE_WIDTH - 1) // TILE_WIDTH):
                derived = hashes[number * TILE_WIDTH : (number + 1) * TILE_WIDTH]
                name, stored = self._read_hashes(str(level), number, len(derived))
                if stored and stored != derived:
                    at = next(i for i in range(len(derived)) if stored[i] != derived[i])
                    index = (number * TILE_WIDTH + at) * TILE_WIDTH**level
                    self.report.add("tile-damaged", path=name, index=index)
                self._check_older(str(level), number, b"".join(derived), 32)


def check_log(arguments: argparse.Namespace, report: Report) -> None:
    """``log``: re-derive a published log from its entries and check every signature asked for."""
    verify, vkey, directory = choose_verify(pure=arguments.pure), parse_vkey(arguments.vkey), Path(arguments.directory)
    checkpoint = open_checkpoint(
        read_file(directory / "checkpoint", limit=NOTE_BYTES_MAX), vkey, verify, path="checkpoint"
    )
    report.facts.update(origin=checkpoint.origin, size=checkpoint.size, root=checkpoint.root.hex())
    old = None
    if arguments.since:
        old = open_checkpoint(
            read_file(Path(arguments.since), limit=NOTE_BYTES_MAX), vkey, verify, path=arguments.since
        )
        report.facts["since"] = old.size
        if old.size > checkpoint.size:
            report.add("rolled-back", old=old.size, new=checkpoint.size)
        if old.size == checkpoint.size:  # decided by the two signed heads alone, whatever files are missing
            if old.root != checkpoint.root:
                report.add("split-view", old=old.size)
            old = None
    chance = random.SystemRandom()  # an operator must not be able to guess which signatures are looked at
    share = {"all": 1.0, "none": 0.0}.get(arguments.signatures, SAMPLE_ENTRIES / max(1, checkpoint.size))

    def wanted(index: int, event: str) -> bool:
        keys = share > 0 and (event == "key.added" or index == checkpoint.size - 1)
        return keys or chance.random() < share

    chain = Chain(report, verify, checkpoint.origin, wanted)
    LogCheck(directory, checkpoint, chain, report).run(old)
    chain.end(vkey)
    if not checkpoint.size:
        report.add("log-empty")
    if arguments.signatures != "all":
        report.add("signatures-unchecked", checked=chain.checked, total=checkpoint.size)
    report.facts.update(signatures=chain.checked, first_time=chain.first_time, last_time=chain.last_time)
    report.facts["signers"] = len(chain.signers)


# --- proof --------------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Proof:
    """A parsed tlog-proof: the entry it carries (may be empty), its index, the path and the checkpoint's bytes."""

    extra: bytes
    index: int
    path: list[bytes]
    checkpoint: bytes


def parse_proof(content: bytes) -> Proof:
    """Parse a C2SP tlog-proof; nothing in it is believed yet."""
    head, separator, checkpoint = content.partition(b"\n\n")
    try:
        lines = head.decode("ascii").split("\n")
        if not separator or lines.pop(0) != "c2sp.org/tlog-proof@v1":
            raise ValueError("first line")
        extra = base64_strict(lines.pop(0)[6:]) if lines and lines[0].startswith("extra ") else b""
        match = re.fullmatch(r"index (0|[1-9][0-9]{0,17})", lines.pop(0) if lines else "")
        path = [base64_strict(line) for line in lines]
        if match is None or len(path) > 63 or any(len(step) != 32 for step in path):
            raise ValueError("index or path")
    except (ValueError, binascii.Error) as error:
        raise VerifyError("proof-malformed", reason=str(error)[:80]) from None
    return Proof(extra, int(match[1]), path, checkpoint)


def digest_file(path: Path) -> tuple[int, str, str | None]:
    """Size, SHA-256 and (where this Python has it) SM3 of a file, read once in pieces."""
    sha256 = hashlib.sha256()
    try:
        sm3 = hashlib.new("sm3")
    except ValueError:
        sm3 = None
    size = 0
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise VerifyError("file-unreadable", path=path, reason="not a regular file")
        with path.open("rb") as source:
            while piece := source.read(1 << 20):
                size += len(piece)
                sha256.update(piece)
                if sm3 is not None:
                    sm3.update(piece)
    except FileNotFoundError:
        raise VerifyError("file-missing", path=path) from None
    except (OSError, ValueError) as error:
        raise VerifyError("file-unreadable", path=path, reason=type(error).__name__) from None
    return size, sha256.hexdigest(), None if sm3 is None else sm3.hexdigest()


def check_proof(arguments: argparse.Namespace, report: Report) -> None:
    """``proof``: one recording against the proof of its entry."""
    verify, vkey = choose_verify(pure=arguments.pure), parse_vkey(arguments.vkey)
    proof = parse_proof(read_file(Path(arguments.proof), limit=NOTE_BYTES_MAX))
    checkpoint = open_checkpoint(proof.checkpoint, vkey, verify, path=arguments.proof)
    report.facts.update(origin=checkpoint.origin, size=checkpoint.size, index=proof.index)
    if not proof.extra:
        raise VerifyError("proof-without-entry")
    if inclusion_root(leaf_hash(proof.extra), proof.index, checkpoint.size, proof.path) != checkpoint.root:
        raise VerifyError("inclusion-failed")
    try:
        entry = parse_entry(proof.extra)
    except VerifyError as error:
        raise VerifyError(error.finding.code, index=proof.index) from None
    except ValueError as error:
        raise VerifyError("entry-malformed", index=proof.index, reason=str(error)[:120]) from None
    for name in ("event", "time", "time_source", "time_uncertainty_ms", "station", "signer"):
        report.facts[name] = entry.predicate[name]
    if entry.predicate["time_source"] != "synchronised":
        report.add("clock-untrusted")
    _check_station(arguments.station_key, entry, verify, report, proof.index)
    _check_recording(Path(arguments.recording), entry, report, proof.index)
    if arguments.disclosures:
        _check_disclosures(Path(arguments.disclosures), entry, report)


def _check_station(argument: str | None, entry: Entry, verify: Verify, report: Report, index: int) -> None:
    if argument is None:
        report.add("station-key-absent")
        return
    try:
        key = base64_strict(text_or_file(argument))
    except ValueError:
        key = b""
    if len(key) != 32 or hashlib.sha256(key).hexdigest()[:16] != entry.signer:
        raise VerifyError("station-key-invalid")
    if not verify(key, entry.signature, entry.signed):
        report.add("entry-signature-bad", index=index)


def _check_recording(path: Path, entry: Entry, report: Report, index: int) -> None:
    stated, recording = entry.data.get("sha256", ""), entry.data.get("recording", "")
    if not stated or not entry.subject_name.startswith("recording:"):
        raise VerifyError("no-digest", event=entry.event[:64])
    if (entry.subject_name, entry.subject_sha256) != (f"recording:{recording}", stated):
        raise VerifyError("subject-mismatch", index=index)
    size_bytes, sha256, sm3 = digest_file(path)
    report.facts.update(recording=recording, file=path, file_bytes=size_bytes, sha256=sha256)
    if sha256 != stated:
        report.add("recording-mismatch", algorithm="SHA-256", want=stated, got=sha256)
    if entry.event in {"recording.acquired", "recording.stored"} and entry.data.get("size_bytes") != size_bytes:
        report.add("size-mismatch", want=entry.data.get("size_bytes"), got=size_bytes)
    if entry.event == "recording.acquired":
        if sm3 is None:
            report.add("sm3-unavailable")
        elif sm3 != entry.data.get("sm3"):
            report.add("recording-mismatch", algorithm="SM3", want=entry.data.get("sm3"), got=sm3)
        else:
            report.facts["sm3"] = sm3


def _read_disclosures(content: bytes) -> list[str]:
    """One disclosure per line, or a JSON array of them (as text, or as objects with a member ``text``)."""
    text = content.decode("ascii").strip()
    if not text.startswith("["):
        return text.split()
    items = json.loads(text)
    return [item["text"] if isinstance(item, dict) else item for item in items]


def _check_disclosures(path: Path, entry: Entry, report: Report) -> None:
    try:
        disclosures = _read_disclosures(read_file(path, limit=NOTE_BYTES_MAX))
        shown = []
        for number, disclosure in enumerate(disclosures, start=1):
            digest = base64.urlsafe_b64encode(hashlib.sha256(disclosure.encode("ascii")).digest()).decode().rstrip("=")
            if digest not in entry.predicate["_sd"]:
                report.add("disclosure-foreign", number=number)
                continue
            decoded = base64.urlsafe_b64decode(disclosure + "=" * (-len(disclosure) % 4))
            _, name, value = json.loads(decoded.decode("utf-8"))
            shown.append(f"{name} = {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise VerifyError("disclosure-malformed") from None
    report.facts["disclosed"] = shown


# --- compare ------------------------------------------------------------------------------------------------------------
class TileHashes:
    """Hashes of subtrees, read from the tiles of a log of ``size`` entries (unverified)."""

    def __init__(self, directory: Path, size: int) -> None:
        self.directory, self.size = directory, size
        self.cache: dict[tuple[int, int], list[bytes]] = {}

    def _tile(self, level: int, number: int) -> list[bytes]:
        if (level, number) not in self.cache:
            width = min(TILE_WIDTH, self.size // TILE_WIDTH**level - number * TILE_WIDTH)
            name, content = read_tile(self.directory, str(level), number, width, limit=TILE_WIDTH * 32)
            if len(content) != (width if ".p/" in name else TILE_WIDTH) * 32:
                raise VerifyError("tile-length", path=name)
            self.cache[level, number] = [content[i : i + 32] for i in range(0, width * 32, 32)]
        return self.cache[level, number]

    def subtree(self, start: int, end: int) -> bytes:
        """MTH(D[start:end]) for ranges as RFC 6962 cuts them."""
        width = end - start
        if width & width - 1:
            middle = start + (1 << (width.bit_length() - 1))
            return node_hash(self.subtree(start, middle), self.subtree(middle, end))
        level = (width.bit_length() - 1) // 8
        first, count = start // TILE_WIDTH**level, width // TILE_WIDTH**level
        offset = first % TILE_WIDTH
        return perfect_root(self._tile(level, first // TILE_WIDTH)[offset : offset + count])

    def consistency(self, old: int, start: int, end: int, *, whole: bool = True) -> list[bytes]:
        """RFC 6962 section 2.1.2, SUBPROOF."""
        if old == end - start:
            return [] if whole else [self.subtree(start, end)]
        split = 1 << ((end - start - 1).bit_length() - 1)
        if old <= split:
            return [
                *self.consistency(old, start, start + split, whole=whole),
                self.subtree(start + split, end),
            ]
        return [
            *self.consistency(old - split, start + split, end, whole=False),
            self.subtree(start, start + split),
        ]


def check_compare(arguments: argparse.Namespace, report: Report) -> None:
    """``compare``: two checkpoints of one log must be one history."""
    verify, vkey = choose_verify(pure=arguments.pure), parse_vkey(arguments.vkey)
    paths = (arguments.first, arguments.second)
    both = [open_checkpoint(read_file(Path(p), limit=NOTE_BYTES_MAX), vkey, verify, path=p) for p in paths]
    old, new = sorted(both, key=lambda checkpoint: checkpoint.size)
    report.facts.update(origin=old.origin, older=old.size, newer=new.size)
    if old.size == new.size:
        if old.root != new.root:
            report.add("split-view", old=old.size)
        return
    if old.size == 0:
        if old.root.hex() != EMPTY_SHA256:
            report.add("rewritten", old=0)
        return
    hashes = TileHashes(Path(arguments.tiles), new.size)
    if consistent(old, new, hashes.consistency(old.size, 0, new.size)):
        return
    if hashes.subtree(0, new.size) == new.root:
        report.add("rewritten", old=old.size)
    else:
        report.add("tiles-foreign", new=new.size)


# --- command line -------------------------------------------------------------------------------------------------------
def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n", 1)[0])
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--vkey", required=True, help="the log's verification key, or a file that holds it")
    common.add_argument("--json", action="store_true", help="machine-readable report on one line")
    common.add_argument("--lang", choices=("zh", "en"), help="language of the report")
    common.add_argument("--pure", action="store_true", help="do not use the `cryptography` package")
    commands = parser.add_subparsers(dest="command", required=True)
    log = commands.add_parser("log", parents=[common], help="check a whole published log")
    log.add_argument("directory", help="the directory that holds `checkpoint` and `tile/`")
    log.add_argument("--signatures", choices=("all", "sample", "none"), default="all")
    log.add_argument("--since", help="a checkpoint you hold from before")
    proof = commands.add_parser("proof", parents=[common], help="check one recording against its proof")
    proof.add_argument("proof", help="the .tlog-proof file")
    proof.add_argument("--recording", required=True, help="the media file")
    proof.add_argument("--disclosures", help="disclosures granted to you (one per line, or a JSON array)")
    proof.add_argument("--station-key", help="base64 of the station's public key, or a file that holds it")
    compare = commands.add_parser("compare", parents=[common], help="check that two checkpoints are one history")
    compare.add_argument("first")
    compare.add_argument("second")
    compare.add_argument("--tiles", required=True, help="a published log directory")
    return parser


COMMANDS = {"log": check_log, "proof": check_proof, "compare": check_compare}


def system_language() -> str:
    """``zh`` or ``en``: what the environment asks for, else (Windows) the locale of the user."""
    asked = next((os.environ[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if os.environ.get(name)), "")
    if not asked:
        try:
            asked = locale.getlocale()[0] or ""
        except ValueError:
            asked = ""
    return "zh" if asked.lower().startswith(("zh", "chinese")) else "en"


def main(argv: list[str] | None = None) -> int:
    """Run one command, print its report, return the exit code; hostile input never ends in a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    arguments = build_parser().parse_args(argv)
    lang = arguments.lang or system_language()
    report = Report(arguments.command)
    try:
        COMMANDS[arguments.command](arguments, report)
    except VerifyError as error:
        report.enter(error.finding)
    except Exception as error:
        report.add("internal", reason=type(error).__name__)
    try:
        print(report.as_json(lang) if arguments.json else report.as_text(lang), flush=True)
    except OSError:
        sys.stderr.close()
    return report.exit_code


if __name__ == "__main__":
    sys.exit(main())
