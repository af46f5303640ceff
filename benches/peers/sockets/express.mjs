// Express with the sender's own SDK: verifies and parses; no freshness, no deduplication.

import express from "express";
import { verifyWebhookSignature } from "scrapebadger";

const [secret, port] = [process.env.SECRET, Number(process.env.PORT)];
const app = express();
app.post("/", express.raw({ type: "application/json", limit: "1mb" }), (request, response) => {
  if (!verifyWebhookSignature(secret, request.body, request.get("x-scrapebadger-signature"))) {
    return response.sendStatus(401);
  }
  const event = JSON.parse(request.body);
  response.status(event.tweet.id ? 200 : 400).end();
});
app.listen(port, "127.0.0.1");
