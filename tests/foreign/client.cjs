// Log in, list, and refresh with a key, with stubs made from the .proto files alone.
//
// usage: client.cjs PROTO_DIR AUTH_ADDRESS API_ADDRESS

"use strict";

const assert = require("node:assert");
const grpc = require("@grpc/grpc-js");
const loader = require("@grpc/proto-loader");

const [protoDir, authAddress, apiAddress] = process.argv.slice(2);
const files = ["evergreen/auth/v1/auth.proto", "evergreen/api/v1/api.proto"];
const definition = loader.loadSync(files, { includeDirs: [protoDir] });
const { evergreen } = grpc.loadPackageDefinition(definition);
const plaintext = grpc.credentials.createInsecure();
const auth = new evergreen.auth.v1.AuthService(authAddress, plaintext);
const api = new evergreen.api.v1.ApiService(apiAddress, plaintext);

function call(client, method, request, entries = {}) {
  const metadata = new grpc.Metadata();
  for (const [name, value] of Object.entries(entries)) metadata.set(name, value);
  return new Promise((resolve, reject) => {
    client[method](request, metadata, (error, answer) => (error ? reject(error) : resolve(answer)));
  });
}

const bearer = (token, more = {}) => ({ authorization: `Bearer ${token}`, ...more });

async function main() {
  const credentials = { username: "demo", password: "evergreen-demo-1", deviceName: "node" };
  const { tokens } = await call(auth, "Login", credentials);
  const { trees } = await call(api, "ListTrees", {}, bearer(tokens.accessToken));
  assert(trees.length > 0, "the demo user has trees");

  const attempt = bearer(tokens.refreshToken, { "idempotency-key": "node-attempt-00001" });
  const first = (await call(auth, "Refresh", {}, attempt)).tokens;
  const again = (await call(auth, "Refresh", {}, attempt)).tokens;
  assert.strictEqual(first.refreshToken, again.refreshToken, "one attempt has one successor");
  assert.notStrictEqual(first.refreshToken, tokens.refreshToken);
  const page = await call(api, "ListTrees", {}, bearer(first.accessToken));
  assert.deepStrictEqual(page.trees.map((t) => t.treeId), trees.map((t) => t.treeId));

  const refused = call(api, "ListTrees", {}, bearer(first.refreshToken));
  await assert.rejects(refused, { code: grpc.status.UNAUTHENTICATED });
  console.log(`node: ${trees.length} trees`);
}

main().then(() => process.exit(0), (error) => {
  console.error(error);
  process.exit(1);
});
