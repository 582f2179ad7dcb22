"""What Lambda does: processes of functions, the Runtime API they talk to, invocations."""
