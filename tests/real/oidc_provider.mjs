// An OpenID Connect provider for one client: `node oidc_provider.mjs CLIENT REDIRECT_URI < SECRET` prints its issuer.
import { createServer } from 'node:http';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const { Provider } = await import(pathToFileURL(createRequire(`${process.cwd()}/`).resolve('oidc-provider')));
const [client, redirect] = process.argv.slice(2);
const secret = readFileSync(0, 'utf8').trim();

const server = createServer();
server.listen(0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: [{ client_id: client, client_secret: secret, redirect_uris: [redirect] }],
    claims: { openid: ['sub'], groups: ['groups'] },
    conformIdTokenClaims: false,
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, groups: [`${id}-team`] }) }),
  });
  server.on('request', provider.callback());
  console.log(issuer);
});
