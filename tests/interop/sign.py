"""Signs a request as in ScrapeBadger's documentation, with only Python's own hmac.

Takes the secret as an argument and reads a tweet from standard input; writes [signature, body in hex].
"""

import datetime
import hashlib
import hmac
import json
import sys

secret = sys.argv[1]
event = json.load(sys.stdin)
event["detected_at"] = datetime.datetime.now(datetime.timezone.utc).isoformat()
event["tweet"]["text"] = "Die Zukunft fährt elektrisch… 🚗"
body = json.dumps(event, ensure_ascii=False).encode("utf-8")
digest = hmac.new(secret.encode("utf-8"), body, hashlib.sha256).hexdigest()
json.dump([f"sha256={digest}", body.hex()], sys.stdout)
