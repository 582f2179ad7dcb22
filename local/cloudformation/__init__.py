"""What CloudFormation does with the template: intrinsic functions, resources, custom resources."""
