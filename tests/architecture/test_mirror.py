"""tests/ mirrors firewall/: a reader who changes a module knows where its test is."""

from pathlib import Path

ROOT = Path(__file__).parents[2]

# Modules without a test file of their own name, each with the reason.
TESTED_ELSEWHERE: dict[str, str] = {
    "firewall/__main__.py": "one line; tests/cli/test_main.py runs it",
    "firewall/cli/demo_calls.py": "tests/cli/test_demo.py places its calls",
    "firewall/cli/demo_screen.py": "tests/cli/test_demo.py reads what it shows",
    "firewall/cli/demo_stage.py": "tests/cli/test_demo.py interrupts and kills it",
    "firewall/cli/log_option.py": "tests/cli/test_run.py and test_replay.py give it",
    "firewall/cli/lsp.py": "tests/lsp/test_server.py talks with it on pipes",
    "firewall/cli/printing.py": "tests/cli/test_lint.py and test_replay.py read what it prints",
    "firewall/cli/shipped_rules.py": "tests/cli/test_demo.py runs the demo from another folder",
    "firewall/cli/story.py": "tests/cli/test_explain.py reads what it prints",
    "firewall/engine/decide.py": "tests/engine/test_engine.py is about decisions",
    "firewall/engine/events.py": "values without behaviour",
    "firewall/engine/alarm_words.py": "a table; tests/cli/test_explain.py reads all of it",
    "firewall/engine/call_media.py": "values; tests/engine/test_media.py follows them through calls",
    "firewall/engine/media_record.py": "tests/engine/test_media.py reads the records",
    "firewall/engine/media_verdict.py": "tests/engine/test_media.py and test_media_check.py read the verdicts",
    "firewall/engine/observe.py": "tests/engine/test_engine.py tracks calls through it",
    "firewall/engine/outputs.py": "values without behaviour",
    "firewall/engine/record.py": "values; tests/engine/test_recording.py encodes them",
    "firewall/engine/way.py": "values without behaviour",
    "firewall/errors.py": "tests/cli/test_main.py shows what each becomes",
    "firewall/lint/code.py": "a value; tests/lint/test_codes.py reads all of them",
    "firewall/lint/emergency_codes.py": "a table; tests/lint/test_codes.py holds it against the docs",
    "firewall/lint/language/count.py": "tests/lint/proof/test_world.py asks what counts a message can have",
    "firewall/lint/hygiene_codes.py": "a table; tests/lint/test_codes.py holds it against the docs",
    "firewall/lsp/protocol.py": "tests/lsp/test_server.py sends what cannot be used",
    "firewall/ruleset/facts.py": "values without behaviour",
    "firewall/sip/limits.py": "constants; tests/sip/test_message.py goes beyond each",
}


def modules() -> list[str]:
    found = (path.relative_to(ROOT) for path in (ROOT / "firewall").rglob("*.py"))
    return sorted(str(path) for path in found if path.name != "__init__.py")


def mirror(module: str) -> Path:
    path = Path(module)
    return ROOT / "tests" / path.parent.relative_to("firewall") / f"test_{path.stem}.py"


def test_every_module_has_its_test_file_or_a_reason() -> None:
    without = [name for name in modules() if not mirror(name).exists() and name not in TESTED_ELSEWHERE]
    assert not without, "give each a test file, or a reason in TESTED_ELSEWHERE"


def test_no_reason_outlives_its_module() -> None:
    assert not [name for name in TESTED_ELSEWHERE if name not in modules() or mirror(name).exists()]
