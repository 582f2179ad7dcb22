from typing import Any

import pytest

from local.cloudformation.intrinsics import Intrinsics, TemplateError

PSEUDO = {"AWS::Region": "eu-central-1", "AWS::AccountId": "000000000000", "AWS::Partition": "aws"}
ATTRIBUTES = {
    ("Queue", None): "http://queue",
    ("Queue", "Arn"): "arn:queue",
    ("Table", "Stream.Arn"): "arn:stream",
}


def attribute(logical_id: str, name: str | None) -> Any:
    try:
        return ATTRIBUTES[(logical_id, name)]
    except KeyError:
        raise LookupError(f"there is no resource {logical_id}") from None


def intrinsics(**document: Any) -> Intrinsics:
    return Intrinsics(document, PSEUDO, attribute)


def resolve(value: Any, **document: Any) -> Any:
    return intrinsics(**document).resolve(value, "Here.There")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("plain", "plain"),
        (["a", 1, True, None], ["a", 1, True, None]),
        ({"Ref": "Queue"}, "http://queue"),
        ({"Ref": "AWS::Region"}, "eu-central-1"),
        ({"Fn::GetAtt": ["Queue", "Arn"]}, "arn:queue"),
        ({"Fn::GetAtt": "Table.Stream.Arn"}, "arn:stream"),
        ({"Fn::Join": ["", ["arn:", {"Ref": "AWS::Partition"}, ":x"]]}, "arn:aws:x"),
        ({"Fn::Join": ["-", ["a", 1, True]]}, "a-1-true"),
        (
            {"Fn::Sub": "${AWS::Region}/${Queue}/${Queue.Arn}/${!Kept}"},
            "eu-central-1/http://queue/arn:queue/${Kept}",
        ),
        ({"Fn::Sub": ["${name}-${AWS::Region}", {"name": {"Ref": "Queue"}}]}, "http://queue-eu-central-1"),
        ({"Fn::Select": ["1", ["a", "b"]]}, "b"),
        ({"Fn::Select": [2, {"Fn::Split": [":", "a:b:c"]}]}, "c"),
        ({"Fn::GetAZs": ""}, ["eu-central-1a", "eu-central-1b", "eu-central-1c"]),
        ({"Fn::GetAZs": {"Ref": "AWS::Region"}}, ["eu-central-1a", "eu-central-1b", "eu-central-1c"]),
        ({"Key": {"Ref": "Queue"}, "Other": "x"}, {"Key": "http://queue", "Other": "x"}),
    ],
)
def test_it_resolves(value: Any, expected: Any) -> None:
    assert resolve(value) == expected


def test_a_parameter_has_its_default() -> None:
    assert resolve({"Ref": "Size"}, Parameters={"Size": {"Type": "String", "Default": "small"}}) == "small"


def test_no_value_leaves_the_property_out() -> None:
    no_value = {"Ref": "AWS::NoValue"}
    assert resolve({"kept": 1, "gone": no_value, "list": ["a", no_value]}) == {"kept": 1, "list": ["a"]}
    assert resolve(no_value) is None


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"Fn::Equals": ["a", "a"]}, "then"),
        ({"Fn::Equals": ["a", {"Ref": "AWS::Region"}]}, "else"),
        ({"Fn::Not": [{"Fn::Equals": ["a", "b"]}]}, "then"),
        ({"Fn::And": [{"Fn::Equals": ["a", "a"]}, {"Condition": "False"}]}, "else"),
        ({"Fn::Or": [{"Fn::Equals": ["a", "a"]}, {"Condition": "False"}]}, "then"),
    ],
)
def test_a_condition_chooses(condition: Any, expected: str) -> None:
    conditions = {"Asked": condition, "False": {"Fn::Equals": ["x", "y"]}}
    assert resolve({"Fn::If": ["Asked", "then", "else"]}, Conditions=conditions) == expected


def test_a_key_named_condition_in_a_policy_is_no_condition() -> None:
    statement = {"Condition": {"StringEquals": {"a": {"Ref": "Queue"}}}}
    assert resolve(statement) == {"Condition": {"StringEquals": {"a": "http://queue"}}}


@pytest.mark.parametrize(
    "value",
    [
        {"Ref": "Nowhere"},
        {"Fn::GetAtt": ["Nowhere", "Arn"]},
        {"Fn::GetAtt": ["Queue", "Colour"]},
        {"Fn::ImportValue": "x"},
        {"Fn::Select": [5, ["a"]]},
        {"Fn::Join": ["", [{"a": 1, "b": 2}]]},
        {"Fn::Sub": "${Nowhere.Arn}"},
        {"Fn::If": ["Unknown", 1, 2]},
        {"Ref": "NoDefault"},
    ],
)
def test_what_cannot_be_resolved_is_an_error_that_names_the_place(value: Any) -> None:
    with pytest.raises(TemplateError) as caught:
        resolve({"deep": [value]}, Parameters={"NoDefault": {"Type": "String"}})
    assert "Here.There.deep[0]" in str(caught.value) or "Unknown" in str(caught.value)
