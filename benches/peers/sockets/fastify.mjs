// Fastify with the sender's own SDK: verifies and parses; no freshness, no deduplication.

import Fastify from "fastify";
import { verifyWebhookSignature } from "scrapebadger";

const [secret, port] = [process.env.SECRET, Number(process.env.PORT)];
const app = Fastify();
app.addContentTypeParser("application/json", { parseAs: "buffer" }, (_, body, done) => done(null, body));
app.post("/", async (request, reply) => {
  if (!verifyWebhookSignature(secret, request.body, request.headers["x-scrapebadger-signature"])) {
    return reply.code(401).send();
  }
  const event = JSON.parse(request.body);
  return reply.code(event.tweet.id ? 200 : 400).send();
});
await app.listen({ port, host: "127.0.0.1" });
