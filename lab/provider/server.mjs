// The lab's provider of identities: npm's certified oidc-provider with a login form, on loopback behind mirror1's nginx.
//
// `node server.mjs SETTINGS < SETTINGS`: a JSON file with `issuer`, `port`, `people` ({name: {password, email, groups}}) and `clients`
// ({client_id: {secret, redirect_uris}}). It ends when that file changes, for systemd to start it with the new one. Sessions,
// codes and keys are in memory: whoever signs in after a restart signs in anew.
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { readFileSync, watchFile } from "node:fs";
import { createServer } from "node:http";
import { generateKeyPair, exportJWK } from "jose";
import Provider from "oidc-provider";

const LIMIT = 10_000;
const file = process.argv[2];
const settings = JSON.parse(readFileSync(0, "utf8"));
const people = new Map(Object.entries(settings.people));

watchFile(file, { interval: 500 }, () => process.exit(0));

function same(given, wanted) {
  const digest = (text) => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(given), digest(wanted));
}

function findAccount(_ctx, name) {
  const person = people.get(name);
  return person && {
    accountId: name,
    claims: () => ({
      sub: name,
      preferred_username: name,
      name,
      email: person.email,
      email_verified: true,
      groups: person.groups,
    }),
  };
}

// These clients are the site's own: nobody is asked whether they may know who signed in.
async function loadExistingGrant(ctx) {
  const { client, session, params, result, provider } = ctx.oidc;
  const known = result?.consent?.grantId ?? session.grantIdFor(client.clientId);
  const grant = known ? await provider.Grant.find(known) : undefined;
  const given = grant ?? new provider.Grant({ clientId: client.clientId, accountId: session.accountId });
  given.addOIDCScope(params.scope);
  await given.save();
  return given;
}

function page(title, body) {
  return `<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>${title}</title></head>
<body><main><h1>${title}</h1>${body}</main></body></html>`;
}

function loginForm(uid, said = "") {
  return page("Campus login", `${said && `<p role="alert">${said}</p>`}
<form method="post" action="/interaction/${uid}">
<p><label>User name <input name="name" autocomplete="username" required autofocus></label></p>
<p><label>Password <input name="password" type="password" autocomplete="current-password" required></label></p>
<p><button type="submit">Sign in</button></p>
</form>`);
}

async function formOf(request) {
  let text = "";
  for await (const part of request) {
    text += part;
    if (text.length > LIMIT) throw new Error("the form is too long");
  }
  return new URLSearchParams(text);
}

function answer(response, status, html) {
  response.writeHead(status, { "content-type": "text/html; charset=utf-8", "cache-control": "no-store" }).end(html);
}

async function interact(provider, request, response) {
  const { uid } = await provider.interactionDetails(request, response);
  if (request.method !== "POST") return answer(response, 200, loginForm(uid));
  const form = await formOf(request);
  const name = form.get("name") ?? "";
  const wanted = people.get(name)?.password;
  if (!same(form.get("password") ?? "", wanted ?? randomBytes(16).toString("hex"))) {
    return answer(response, 401, loginForm(uid, "User name or password is wrong."));
  }
  return provider.interactionFinished(request, response, { login: { accountId: name } });
}

const { privateKey } = await generateKeyPair("RS256", { extractable: true });
const provider = new Provider(settings.issuer, {
  clients: Object.entries(settings.clients).map(([client_id, { secret, redirect_uris, after_logout = [] }]) => ({
    client_id,
    client_secret: secret,
    redirect_uris,
    post_logout_redirect_uris: after_logout,
  })),
  claims: { openid: ["sub"], profile: ["preferred_username", "name", "groups"], email: ["email", "email_verified"], groups: ["groups"] },
  cookies: { keys: [randomBytes(32).toString("hex")] },
  features: { devInteractions: { enabled: false } },
  findAccount,
  interactions: { url: (_ctx, interaction) => `/interaction/${interaction.uid}` },
  jwks: { keys: [{ ...(await exportJWK(privateKey)), alg: "RS256", use: "sig" }] },
  loadExistingGrant,
  ttl: { AccessToken: 3600, Grant: 86400, IdToken: 3600, Interaction: 3600, Session: 86400 },
});
provider.proxy = true;
const answers = provider.callback();

createServer((request, response) => {
  if (!request.url.startsWith("/interaction/")) return answers(request, response);
  return interact(provider, request, response).catch((error) => {
    console.error(error.message);
    answer(response, 400, page("Campus login", "<p>This login has ended or was begun in another browser. Go back and sign in again.</p>"));
  });
}).listen(settings.port, "127.0.0.1", () => console.log(`${settings.issuer} answers on port ${settings.port}`));
