"""What jupyterhub-nativeauthenticator asks of `onetimepass`, which is on PyPI as a source only: a second factor by RFC 6238."""

import base64
import hashlib
import hmac
import time


def valid_totp(token: int | str, secret: str) -> bool:
    """Whether `token` is the six digits of these 30 seconds for a base32 `secret`."""
    if not str(token).isdecimal():
        return False
    moment = int(time.time() // 30).to_bytes(8, "big")
    digest = hmac.new(base64.b32decode(secret, casefold=True), moment, hashlib.sha1).digest()
    place = digest[-1] & 15
    number = int.from_bytes(digest[place : place + 4], "big") & 0x7FFFFFFF
    return int(token) == number % 1_000_000
