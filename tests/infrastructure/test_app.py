"""What `python app.py` promises: anywhere, without anything, the same every time."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.infrastructure.synthesized import ROOT, Template, synthesize

SOURCES = ("app.py", "infrastructure", "functions", "migrations", "alembic.ini", "requirements.txt")


def test_another_checkout_another_run_the_same_bytes(dev: Template, tmp_path: Path) -> None:
    elsewhere = _copy_of_the_checkout(tmp_path / "a" / "longer path")
    (elsewhere / "functions" / "__pycache__").mkdir(exist_ok=True)
    (elsewhere / "functions" / "__pycache__" / "stale.pyc").write_bytes(b"another machine's")
    (elsewhere / "functions" / ".DS_Store").write_bytes(b"another machine's")

    synthesize(tmp_path / "out", root=elsewhere, PYTHONHASHSEED="7", TZ="Pacific/Auckland", LANG="tr_TR.UTF-8")

    assert _files(tmp_path / "out", checkout=elsewhere) == _files(dev.path.parent, checkout=ROOT)


def test_a_plain_synthesis_copies_nothing(dev: Template) -> None:
    assert [path.name for path in dev.path.parent.iterdir() if path.is_dir()] == []


def test_nothing_in_the_template_names_an_account_a_region_or_this_machine(template: Template) -> None:
    text = template.path.read_text()
    assert not re.search(r"\b\d{12}\b|\b(us|eu|ap|sa)-[a-z]+-\d\b", text)
    assert str(ROOT) not in text
    assert {"Fn::GetAZs": ""} in [
        subnet["Properties"]["AvailabilityZone"]["Fn::Select"][1]
        for subnet in template.of_type("AWS::EC2::Subnet").values()
    ]


def test_the_environment_chooses_the_stage_and_the_context_wins(tmp_path: Path) -> None:
    synthesize(tmp_path / "out", "-c", "stage=dev", HOOKLINE_STAGE="prod")
    assert (tmp_path / "out" / "hookline-dev.template.json").exists()
    assert not (tmp_path / "out" / "hookline-prod.template.json").exists()


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["--help"], 0, "--bundle"),
        (["-c", "stage"], 2, "KEY=VALUE"),
        (["-c", "stage=test"], 1, "no stage 'test'; there are dev, prod"),
    ],
)
def test_the_command_line_explains_itself(tmp_path: Path, arguments: list[str], status: int, said: str) -> None:
    run = subprocess.run(
        [sys.executable, ROOT / "app.py", "-o", tmp_path / "out", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == status
    assert said in run.stdout + run.stderr


def test_cfn_lint_finds_nothing(template: Template) -> None:
    # W3005: CDK writes DependsOn beside the references that already imply it.
    lint = Path(sys.executable).parent / "cfn-lint"
    run = subprocess.run(
        [lint, "--ignore-checks", "W3005", "--regions", "us-east-1", "eu-central-1", "-t", template.path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stdout) == (0, "")


def test_the_validators_found_nothing_that_is_not_acknowledged(template: Template) -> None:
    report = (template.path.parent / "validation-report.json").read_text()
    assert '"pluginReports": []' in report


def test_cdk_nag_stops_a_synthesis_that_breaks_a_rule(tmp_path: Path) -> None:
    careless = _copy_of_the_checkout(tmp_path / "careless")
    queues = careless / "infrastructure" / "queues.py"
    queues.write_text(queues.read_text().replace("enforce_ssl=True", "enforce_ssl=False"))
    run = subprocess.run(
        [sys.executable, careless / "app.py", "-o", tmp_path / "out"],
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode != 0
    assert "AwsSolutions-SQS4" in run.stdout + run.stderr


def _files(assembly: Path, *, checkout: Path) -> dict[str, str]:
    """Each file's text; the path of the checkout is in the list of assets, as what CDK would have copied."""
    return {path.name: path.read_text().replace(str(checkout), "checkout") for path in assembly.iterdir()}


def _copy_of_the_checkout(target: Path) -> Path:
    target.mkdir(parents=True)
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target / name)
    return target
