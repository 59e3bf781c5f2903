"""Every word of pages and commands has a Chinese translation, every translation is used, and the fixed words are used."""

from __future__ import annotations

import ast
import re
import string
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from babel.messages.pofile import read_po
from jinja2 import nodes

from access.gate import INACTIVE, PASSWORD_CHANGE_REQUIRED, UNKNOWN_AGENT
from access.reading import PICTURES
from api import use_words
from api.matters import registers, showing
from api.web import (
    classify_words,
    clearing_words,
    custody_words,
    dock_view,
    dossier_words,
    marks,
    matter_words,
    retention_words,
    storage_words,
    words,
)
from api.web.i18n import PO_FILE, chinese, translate
from api.web.marks import Mark
from api.web.rendering import MENU, environment
from app.matter_forms import all_forms
from assurance.statistics import FIGURES
from discs.media import KINDS
from evidence.errors import EvidenceError, Retry
from evidence.events import EVENT_TYPES
from evidence.model import RecordingKind, RecordingState
from ingest import times
from ingest.describe import _QUARANTINE
from matters.looking import CONCERNED, NO_PART, SAME_PERSON
from matters.papers import NOTHING_TO_DO
from people.policy import DENIED_REASONS
from people.roles import ROLES

ROOT = Path(__file__).parents[3]
#: Functions that translate their first argument, and the files that call them.
TRANSLATORS = {"translate", "say", "_both"}
PYTHON = sorted([*ROOT.glob("api/**/*.py"), *ROOT.glob("app/**/*.py")])


def in_templates() -> Iterator[str]:
    env = environment()
    for name in env.list_templates():
        source, _, _ = env.loader.get_source(env, name)
        for call in env.parse(source).find_all(nodes.Call):
            if isinstance(call.node, nodes.Name) and call.node.name == "_":
                keys = {id(item.arg) for item in call.args[0].find_all(nodes.Getitem)}  # names in brackets are no words
                yield from (
                    const.value
                    for const in call.args[0].find_all(nodes.Const)
                    if isinstance(const.value, str) and id(const) not in keys
                )
                if isinstance(call.args[0], nodes.Const):
                    yield call.args[0].value


def _strings(node: ast.expr) -> Iterator[str]:
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.IfExp(body=body, orelse=orelse):
            yield from _strings(body)
            yield from _strings(orelse)
        case ast.Call(func=ast.Attribute(attr="get"), args=[_, default]):  # words.ERRORS.get(code, "...")
            yield from _strings(default)


def in_calls() -> Iterator[str]:
    for path in PYTHON:
        tree = ast.parse(path.read_text())
        # ``word = "..." if ... else "..."`` handed to a translator in the same function
        for function in ast.walk(tree):
            if not isinstance(function, ast.FunctionDef):
                continue
            given = {
                call.args[0].id
                for call in ast.walk(function)
                if isinstance(call, ast.Call)
                and isinstance(call.func, ast.Name)
                and call.func.id in TRANSLATORS
                and call.args
                and isinstance(call.args[0], ast.Name)
            }
            for assign in ast.walk(function):
                if (
                    isinstance(assign, ast.Assign)
                    and isinstance(assign.targets[0], ast.Name)
                    and assign.targets[0].id in given
                ):
                    yield from _strings(assign.value)
                if isinstance(assign, ast.For) and isinstance(assign.target, ast.Tuple) and assign.iter:
                    first = assign.target.elts[0]
                    if isinstance(first, ast.Name) and first.id in given and isinstance(assign.iter, ast.Tuple):
                        for pair in assign.iter.elts:
                            if isinstance(pair, ast.Tuple):
                                yield from _strings(pair.elts[0])
        for call in ast.walk(tree):
            if isinstance(call, ast.Call) and call.args:
                name = call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")
                if name in TRANSLATORS:
                    yield from _strings(call.args[0])
                if name == "Mark" and len(call.args) == 3:
                    yield from _strings(call.args[2])


def in_tables() -> Iterator[str]:
    for module in (
        words,
        classify_words,
        clearing_words,
        custody_words,
        dossier_words,
        marks,
        dock_view,
        retention_words,
        storage_words,
        matter_words,
        showing,
        use_words,
    ):
        for value in (value for name, value in vars(module).items() if name.strip("_").isupper()):
            if isinstance(value, Mark):
                yield value.word
            elif isinstance(value, Mapping):
                for word in value.values():
                    if isinstance(word, Mark):
                        yield word.word
                    elif isinstance(word, str):
                        yield word
    yield from (column.word for column in registers._PLAIN)
    yield from (word for figure in FIGURES for word in (figure.word, figure.group))
    yield from (item.label for item in MENU)
    yield from (state.value for state in RecordingState)  # the command line tells a recording's state


def in_forms() -> Iterator[str]:
    """Everything a kind of matter declares: its own name, states, parts, documents, acts, fields, choices, links, columns."""
    for form in all_forms():
        yield from (form.word, form.words, form.group)
        yield from (state.word for state in form.states)
        yield from form.persons.values()
        yield from form.documents.values()
        yield from (column.word for column in form.register)
        for act in (form.opening, *form.acts):
            yield from (act.word, act.hint)
            yield from (link.word for link in act.links)
        for one in (*(one for act in (form.opening, *form.acts) for one in act.fields), *form.computed):
            yield from (one.word, one.hint)
            yield from (choice.word for choice in (*one.choices, *one.columns))


def in_refusals() -> Iterator[str]:
    """Sentences by which guards refuse an act: ``turn.refuse("...", todo="...")``."""
    for path in sorted([*ROOT.glob("matters/*.py"), *ROOT.glob("cases/*.py"), *ROOT.glob("retention/*.py")]):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call) and getattr(call.func, "attr", "") == "refuse":
                for argument in (*call.args[:1], *(one.value for one in call.keywords if one.arg == "todo")):
                    yield from _strings(argument)


def used() -> set[str]:
    sources = (in_templates(), in_calls(), in_tables(), in_forms(), in_refusals())
    return {message for source in sources for message in source if message}


#: The same in every language.
UNTRANSLATED = {"SHA-256", "SM3", *(kind.title for kind in KINDS)}


def test_every_message_is_translated_and_every_translation_is_used() -> None:
    wanted = used() - UNTRANSLATED
    assert sorted(wanted - set(chinese())) == []
    assert sorted(set(chinese()) - wanted) == []


def test_no_translation_is_empty_doubtful_or_given_twice() -> None:
    with PO_FILE.open("rb") as file:
        catalogue = read_po(file, locale="zh_CN")
    assert [message.id for message in catalogue if message.id and not message.string] == []
    assert [message.id for message in catalogue if message.fuzzy and message.id] == []
    identities = Counter(re.findall(r'^msgid "(.+)"$', PO_FILE.read_text(encoding="utf-8"), re.MULTILINE))
    assert [message for message, times in identities.items() if times > 1] == []


def _fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def test_a_translation_has_the_fields_of_its_message() -> None:
    assert [one for one, text in chinese().items() if _fields(one) != _fields(text)] == []


def test_evidence_is_never_said_to_be_deleted_nor_a_hold_called_by_a_legal_measures_name() -> None:
    forbidden = ("删除", "保全", "先行登记保存", "抹掉")
    assert [text for text in chinese().values() if any(word in text for word in forbidden)] == []


def test_chinese_texts_are_chinese() -> None:
    allowed = re.compile(r"[A-Za-z]")
    without = [one for one, text in chinese().items() if not re.search(r"[一-鿿]", text) and allowed.search(one)]
    assert without == []


@pytest.mark.parametrize(
    ("message", "word"),
    [
        ("Sealed", "已封存"),
        ("Quarantine", "隔离待查"),
        ("Chain of custody", "保管链"),
        ("Late hand-in", "逾期上交"),
        ("Device mark", "重点标记"),
        ("Fixity check", "完整性校验"),
        ("Recorders", "执法记录仪"),
        ("Viewing copy; the original is kept unchanged", "查看副本"),
        ("Clock offset", "时钟偏差"),
        ("Offload running", "采集"),
        ("Findings", "发现"),
    ],
)
def test_the_fixed_words_of_the_vocabulary_are_used(message: str, word: str) -> None:
    assert word in translate(message, "zh-CN")
    assert translate(message, "en") == message


def test_every_kind_of_entry_a_timeline_can_hold_has_a_word() -> None:
    shown = ("recording.", "derivative.", "access.", "fixity.", "matter.", "document.")
    of_recordings = {name for name in EVENT_TYPES if name.startswith(shown)}
    assert sorted(of_recordings - set(custody_words.EVENTS)) == []


def _named(pattern: str, *files: str) -> set[str]:
    """Codes that the lower rooms write, as they stand in their source."""
    texts = [path.read_text(encoding="utf-8") for name in files for path in ROOT.glob(name)]
    found = {code for text in texts for code in re.findall(pattern, text, re.MULTILINE)}
    assert found, pattern
    return found


def _families(error: type[EvidenceError]) -> Iterator[type[EvidenceError]]:
    yield error
    for below in error.__subclasses__():
        yield from _families(below)


def test_every_code_of_the_lower_rooms_has_a_word_of_its_own() -> None:
    """A code the pages do not know would be shown as it stands, or worse, judged as something else."""
    findings = _named(r'raise_finding\([^")]*"([a-z-]+)"', "ingest/*.py") | _named(
        r'(?:Finding\(\s*kind=|raise_one\(\s*)"([a-z-]+)"', "assurance/*.py"
    )
    reasons = _named(r'quarantine\([^")]*"([a-z-]+)"|doubts\.append\(\("([a-z-]+)"', "ingest/*.py")
    errors = {error.code for error in _families(EvidenceError) if error.__module__.split(".")[0] in ("evidence", "api")}
    tables = {
        "findings": (findings, words.FINDINGS),
        "errors": (errors, words.ERRORS),
        "starts": ({times.CORRECTED, times.UNCORRECTED, times.UNTRUSTED, times.UNKNOWN}, words.SOURCES),
        "kinds": (set(RecordingKind), words.KINDS),
        "roles": (set(ROLES), words.ROLES),
        "retries": (set(Retry), words.RETRY),
        "reasons": ({code for pair in reasons for code in pair if code} | set(_QUARANTINE.values()), words.REASONS),
        "notices": (_named(r'notices\.append\("([a-z-]+)"\)', "app/web_services.py"), words.NOTICES),
        "notes": (_named(r'notes\.append\(f?"([a-z-]+):', "media/verdict.py"), custody_words.NOTES),
        "notes on viewing copies": (_named(r'f"([a-z]+-[a-z]+): \{error', "media/describe.py"), custody_words.NOTES),
        "health": (_named(r'reason="([a-z-]+)"', "assurance/health*.py"), words.HEALTH_REASONS),
        "checks": (_named(r'name="([a-z-]+)"', "assurance/health*.py"), words.HEALTH),
        "pictures": (PICTURES, custody_words.LOOKS),
        "looks": (
            _named(r'_gate\.allowed\([^"]*detail="([a-z ]+)"', "access/reading.py", "app/*.py"),
            custody_words.LOOKS,
        ),
        "refusals": (DENIED_REASONS | {INACTIVE, UNKNOWN_AGENT, PASSWORD_CHANGE_REQUIRED}, custody_words.DENIALS),
        "refusals of matters": ({SAME_PERSON, NO_PART, CONCERNED, NOTHING_TO_DO}, custody_words.DENIALS),
        "fields of forms": (_named(r'^[A-Z_]+: Final = "([a-z-]+)"$', "matters/values.py"), matter_words.WRONG),
        "refusals of workflows": (_named(r'reason="([a-z-]+)"', "access/administration.py"), custody_words.DENIALS),
    }
    missing = {name: sorted(map(str, wanted - set(table))) for name, (wanted, table) in tables.items()}
    assert {name: codes for name, codes in missing.items() if codes} == {}
