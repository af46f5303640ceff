"""FastAPI with the sender's own SDK: verifies and parses; no freshness, no deduplication."""

import json
import os

from fastapi import FastAPI, Request, Response
from scrapebadger.twitter.stream import verify_webhook_signature

secret = os.environ["SECRET"]
app = FastAPI()


@app.post("/")
async def webhook(request: Request) -> Response:
    body = await request.body()
    signature = request.headers.get("x-scrapebadger-signature", "")
    if not verify_webhook_signature(secret, body, signature):
        return Response(status_code=401)
    event = json.loads(body)
    return Response(status_code=200 if event["tweet"]["id"] else 400)
