// Checks signatures with ScrapeBadger's SDK for Node, whose directory is the argument.
//
// Reads a JSON list of [secret, body in hex, signature] and writes a list of true and false.

import { join } from "node:path";
import { json } from "node:stream/consumers";
import { pathToFileURL } from "node:url";

const module = join(process.argv[2], "node_modules/scrapebadger/dist/index.mjs");
const { verifyWebhookSignature } = await import(pathToFileURL(module));
const questions = await json(process.stdin);
const answers = questions.map(([secret, body, signature]) =>
  verifyWebhookSignature(secret, Buffer.from(body, "hex"), signature),
);
console.log(JSON.stringify(answers));
