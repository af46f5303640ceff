"""Checks signatures with ScrapeBadger's SDK for Python.

Reads a JSON list of [secret, body in hex, signature] and writes a list of true and false.
"""

import json
import sys

from scrapebadger.twitter.stream import verify_webhook_signature

json.dump(
    [
        verify_webhook_signature(secret, bytes.fromhex(body), signature)
        for secret, body, signature in json.load(sys.stdin)
    ],
    sys.stdout,
)
