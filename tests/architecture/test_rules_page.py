"""docs/rules.md names only tests that exist, and every rule test is named there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/rules.md").read_text()


def rule_tests() -> set[str]:
    found: set[str] = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        found |= set(re.findall(r"def (test_r\d\d_\w+)", path.read_text()))
    return found


def test_every_named_prefix_has_a_test():
    tests = rule_tests()
    for prefix in re.findall(r"`(test_r\d\d_\w*)`", PAGE):
        assert any(name.startswith(prefix) for name in tests), f"{prefix} proves nothing"


def test_every_rule_that_tests_name_is_on_the_page():
    named = re.findall(r"`(test_r\d\d_\w*)`", PAGE)
    for name in rule_tests():
        assert any(name.startswith(prefix) for prefix in named), f"{name} is not on docs/rules.md"


def test_all_27_rules_are_listed():
    rows = re.findall(r"^\| R(\d+)", PAGE, re.MULTILINE)
    assert [int(row) for row in rows] == list(range(1, 28))


def test_every_document_that_is_referred_to_exists():
    texts = [*ROOT.glob("*/**/*.py"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("*.md"), ROOT / "Makefile"]
    for path in texts:
        if ".venv" in path.parts or ".venv-interop" in path.parts:
            continue
        for document in re.findall(r"docs/[A-Za-z0-9_/-]+\.md", path.read_text(encoding="utf-8", errors="replace")):
            assert (ROOT / document).exists(), f"{path.relative_to(ROOT)} refers to {document}"
