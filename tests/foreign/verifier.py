"""Verify an access token by the keys that AuthService publishes over HTTP.

usage: verifier.py JWKS_URL ACCESS_TOKEN
"""

import sys

import jwt

url, token = sys.argv[1:]
keys = jwt.PyJWKClient(url)


def verify(token):
    key = keys.get_signing_key_from_jwt(token)
    return jwt.decode(
        token, key, algorithms=["EdDSA"], audience="evergreen", issuer="evergreen",
        options={"require": ["aud", "exp", "iat", "iss", "jti", "sub"]})


claims = verify(token)
assert claims["roles"] == ["editor"], claims
assert jwt.get_unverified_header(token)["typ"] == "at+jwt"

head, payload, signature = token.split(".")
first = "A" if signature[0] != "A" else "B"
try:
    verify(".".join((head, payload, first + signature[1:])))
    raise AssertionError("a forged signature was taken for good")
except jwt.InvalidSignatureError:
    pass
print(f"verifier: {len(keys.get_signing_keys())} keys")
