"""A kind of matter as data: fields, states and acts, for programs that fill forms in and for the command line."""

from __future__ import annotations

from typing import Any

from api.matters.registers import columns_of
from api.web.i18n import translate
from matters.form import Act, Field, FieldKind, Form, LinkRole


def described(form: Form, language: str, *, may_open: bool) -> dict[str, Any]:
    """A form as data.

    Args:
        form: The kind.
        language: Of its words; codes and names are the same in every language.
        may_open: Whether the reader may open one.
    """

    def say(word: str) -> str:
        return translate(word, language)

    return {
        "kind": form.kind, "word": say(form.word), "words": say(form.words), "group": say(form.group) if form.group else "",
        "may_open": may_open, "title": form.title,
        "states": [
            {"code": one.code, "word": say(one.word), "tone": one.tone.value, "final": one.final} for one in form.states
        ],
        "persons": [{"role": role, "word": say(word)} for role, word in form.persons.items()],
        "documents": [{"role": role, "word": say(word)} for role, word in form.brought.items()],
        "opening": _act(form.opening, say),
        "acts": [_act(act, say) for act in form.acts if not act.hidden],
        "register_columns": [{"name": one.name, "word": say(one.word)} for one in columns_of(form)],
    }  # fmt: skip


def _act(act: Act, say: Any) -> dict[str, Any]:
    return {
        "name": act.name, "word": say(act.word), "before": list(act.before), "after": act.after, "action": act.action.value,
        "fields": [_field(one, say) for one in act.fields], "links": [_link(one, say) for one in act.links],
        "documents": list(act.documents), "role": act.role, "only": list(act.only), "never": list(act.never),
        "needs_seen": act.frozen, "by_persons": not act.hidden,
    }  # fmt: skip


def _field(one: Field, say: Any) -> dict[str, Any]:
    texts = (FieldKind.LINE, FieldKind.WORDS)
    return {
        "name": one.name, "word": say(one.word), "kind": one.kind.value, "required": one.required, "personal": one.personal,
        "hint": say(one.hint) if one.hint else "", "chars_max": one.chars_max if one.kind in texts else None,
        "least": one.least if one.kind is FieldKind.NUMBER else None,
        "most": (one.most or None) if one.kind is FieldKind.NUMBER else None,
        "choices": [{"code": choice.code, "word": say(choice.word)} for choice in one.choices],
        "columns": [{"code": column.code, "word": say(column.word)} for column in one.columns],
        "seen_by": list(one.seen_by), "part": one.part,
    }  # fmt: skip


def _link(one: LinkRole, say: Any) -> dict[str, Any]:
    return {
        "role": one.role, "word": say(one.word), "targets": list(one.targets), "least": one.least, "most": one.most,
    }  # fmt: skip
