"""What libcurl's errors mean to a customer: a stable code, and a sentence that says what to look at."""

from typing import Any

import pycurl

from functions.domain.outcome import Failure

E_TOO_LARGE = 100  # CURLE_TOO_LARGE; pycurl has no name for it

REFUSED = Failure("address_refused", "the host resolves to an address that deliveries may not connect to")
NOT_ALLOWED = Failure(
    "address_not_in_allowlist", "the host resolves to an address that is not in the webhook's ip_allowlist"
)
NOT_HTTP = Failure("invalid_response", "the answer was not HTTP")
NOT_COMPLETE = Failure(
    "connection_closed", "the connection was closed before the response's headers were complete"
)
TOO_LARGE = Failure("response_too_large", "the response's status line and headers are too large")
UNSENDABLE = Failure("request_failed", "the request's URL or headers hold characters that HTTP does not allow")
NO_RESPONSE = Failure("timeout", "no complete response within the webhook's timeout")
NO_NAME = Failure("dns_error", "the host name was not resolved in time: its name servers do not answer")
NO_CONNECTION = Failure("connect_timeout", "no connection was made in time: the address does not answer")
NO_HANDSHAKE = Failure("tls_error", "the TLS handshake was not finished in time")

FAILURES = {
    pycurl.E_COULDNT_RESOLVE_HOST: Failure("dns_error", "the host name could not be resolved"),
    pycurl.E_COULDNT_CONNECT: Failure("connection_failed", "no connection could be made"),
    pycurl.E_SSL_CONNECT_ERROR: Failure("tls_error", "the TLS handshake failed"),
    pycurl.E_PEER_FAILED_VERIFICATION: Failure("tls_error", "the TLS certificate could not be verified"),
    pycurl.E_GOT_NOTHING: Failure("connection_closed", "the connection was closed without a response"),
    pycurl.E_RECV_ERROR: Failure("connection_closed", "the connection broke before the response was complete"),
    pycurl.E_SEND_ERROR: Failure("connection_closed", "the connection broke while the request was sent"),
    pycurl.E_PARTIAL_FILE: Failure("connection_closed", "the response ended before its content-length"),
    pycurl.E_FTP_WEIRD_SERVER_REPLY: NOT_HTTP,
    pycurl.E_UNSUPPORTED_PROTOCOL: NOT_HTTP,
    pycurl.E_BAD_CONTENT_ENCODING: Failure(
        "invalid_response", "the response has a transfer-encoding not asked for"
    ),
    E_TOO_LARGE: TOO_LARGE,
}

# Words of OpenSSL and libcurl in what they say of an error; the first that fits makes the sentence. Where none
# does, as after an update that words it otherwise, the code is the same and the sentence a general one.
DETAILS = {
    pycurl.E_PEER_FAILED_VERIFICATION: {
        "has expired": Failure("tls_error", "the TLS certificate has expired"),
        "not yet valid": Failure("tls_error", "the TLS certificate is not valid yet"),
        "in certificate chain": Failure(
            "tls_error", "the TLS certificate is not trusted: its root is no public one"
        ),
        "self-signed": Failure("tls_error", "the TLS certificate is self-signed"),
        "local issuer": Failure(
            "tls_error", "the TLS certificate is not trusted: its issuer is unknown, or not sent along with it"
        ),
        "subject name": Failure("tls_error", "the TLS certificate is for another host name"),
    },
    pycurl.E_SSL_CONNECT_ERROR: {
        "protocol version": Failure("tls_error", "the endpoint does not speak TLS 1.2 or newer"),
        "unsupported protocol": Failure("tls_error", "the endpoint does not speak TLS 1.2 or newer"),
        "wrong version number": Failure("tls_error", "the endpoint does not speak TLS on this port"),
        "handshake failure": Failure("tls_error", "the endpoint refused the TLS handshake"),
    },
    pycurl.E_RECV_ERROR: {"chunk": Failure("invalid_response", "the response's chunks are malformed")},
}


def failure(easy: Any, code: int) -> Failure:
    """Why the transfer of this handle ended with libcurl's error `code`."""
    if code == pycurl.E_OPERATION_TIMEDOUT:
        return _timed_out(easy)
    said = easy.errstr()
    for words, detailed in DETAILS.get(code, {}).items():
        if words in said:
            return detailed
    return FAILURES.get(code, Failure("request_failed", f"the request failed (libcurl {code})"))


def _timed_out(easy: Any) -> Failure:
    """Told apart by how far it came: libcurl has a time for each step that is behind it."""
    if easy.getinfo(pycurl.REQUEST_SIZE):
        return NO_RESPONSE
    if not easy.getinfo(pycurl.NAMELOOKUP_TIME_T):
        return NO_NAME
    if not easy.getinfo(pycurl.CONNECT_TIME_T):
        return NO_CONNECTION
    return NO_RESPONSE if easy.getinfo(pycurl.APPCONNECT_TIME_T) else NO_HANDSHAKE
