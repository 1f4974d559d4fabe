// SPDX-License-Identifier: Apache-2.0
// A real OpenID Provider (oidc-provider) on a free port: node oidc-provider.js PORT REDIRECT_URI LOGOUT_URI [TTL_SECONDS]
// Everybody may log in, by any name; its sub is that name, its groups "staff" and "NAME-friends".
"use strict";
(async () => {
  const { default: Provider } = await import("oidc-provider");
  const [port, redirect, logout, ttl] = process.argv.slice(2);
  const issuer = `http://127.0.0.1:${port}`;
  const provider = new Provider(issuer, {
    clients: [{
      client_id: "weir", client_secret: "not+so/secret:at all", redirect_uris: [redirect],
      post_logout_redirect_uris: [logout], grant_types: ["authorization_code", "refresh_token"],
    }],
    findAccount: (_, id) => ({
      accountId: id,
      claims: () => ({ sub: id, email: `${id}@example.com`, name: `Mx ${id}`, groups: ["staff", `${id}-friends`] }),
    }),
    claims: { openid: ["sub"], email: ["email"], profile: ["name", "groups"] },
    conformIdTokenClaims: false,
    pkce: { required: () => true },
    cookies: { keys: ["x"] },
    ttl: { AccessToken: Number(ttl || 3600), IdToken: Number(ttl || 3600) },
    issueRefreshToken: async () => true,
    rotateRefreshToken: true,
    features: { devInteractions: { enabled: true }, rpInitiatedLogout: { enabled: true } },
  });
  provider.listen(Number(port), "127.0.0.1", () => console.log("ready"));
})();
