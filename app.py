"""Synthesizes the stack of one stage into cdk.out/.

python app.py            the template alone: for the local runtime and the tests
python app.py --bundle   the same template and the asset that it names: what cdk.json runs to deploy
"""

import argparse
import os
from pathlib import Path

from infrastructure.config import STAGES, Stage

# Settings of the CDK itself. They stand here and not in cdk.json, which only the CDK's CLI reads, so that
# `cdk deploy` and `python app.py` make the same template.
CONTEXT = {
    "@aws-cdk/aws-iam:minimizePolicies": True,  # one statement for what several grants allow
    "@aws-cdk/core:enablePartitionLiterals": True,
    "@aws-cdk/core:validateAgainstDefaultRules": True,  # a template CloudFormation would refuse stops here
    "@aws-cdk/core:annotationsInValidationReport": True,
    "aws:cdk:disable-creation-stack-traces": True,  # they name temporary folders: no two runs were alike
}

# CDK's own way to say "name the assets, build none": the list of stacks to bundle, left empty.
BUNDLE_NOTHING: dict[str, list[str]] = {"aws:cdk:bundling-stacks": []}


def main() -> None:
    arguments = _arguments()
    synthesize(
        context=dict(pair.split("=", 1) for pair in arguments.context),
        output=arguments.output,
        bundle=arguments.bundle,
    )


def synthesize(*, context: dict[str, str], output: Path, bundle: bool) -> None:
    """Write the cloud assembly of the stage that the context names into `output`."""
    # Loading aws_cdk starts node and takes seconds, which --help and a typing error should not cost.
    import aws_cdk as cdk  # noqa: PLC0415
    from cdk_nag import AwsSolutionsChecks  # noqa: PLC0415

    from infrastructure.stack import HooklineStack  # noqa: PLC0415

    app = cdk.App(
        analytics_reporting=False,  # a resource of metadata that says nothing to us
        tree_metadata=False,
        outdir=str(output),
        context=CONTEXT | context,
        post_cli_context=None if bundle else BUNDLE_NOTHING,
    )
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    HooklineStack(app, stage=_stage(app.node.try_get_context("stage")))
    app.synth()


def _stage(name: str | None) -> Stage:
    """The stage of `-c stage=…`, else of HOOKLINE_STAGE, else dev. Exits when there is no such stage."""
    name = name or os.environ.get("HOOKLINE_STAGE") or "dev"
    if name not in STAGES:
        raise SystemExit(f"no stage {name!r}; there are {', '.join(STAGES)}")
    return STAGES[name]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", action="store_true", help="build the asset (downloads the locked wheels)")
    parser.add_argument(
        "-c",
        "--context",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="as for the CDK's CLI; stage=NAME chooses the stage (else HOOKLINE_STAGE, else dev)",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path(os.environ.get("CDK_OUTDIR", Path(__file__).parent / "cdk.out")),
        help="where the template goes (else CDK_OUTDIR, else cdk.out)",
    )
    arguments = parser.parse_args()
    for pair in arguments.context:
        if "=" not in pair:
            parser.error(f"-c takes KEY=VALUE, not {pair!r}")
    return arguments


if __name__ == "__main__":
    main()
