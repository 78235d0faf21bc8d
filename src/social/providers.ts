import { Injectable } from '@nestjs/common';
import { Clock } from '../clock/clock.js';
import { Config } from '../config/config.js';
import { appleClientSecret } from './apple-client-secret.js';
import { Facebook } from './facebook.js';
import { readGoogleAccessToken } from './google-access-token.js';
import { OpenIdProvider } from './open-id-provider.js';
import { ProviderHttp } from './provider-http.js';
import type { IdentityProvider } from './provider.js';

const SCOPES = 'openid email profile';

/** Every provider that is configured. Another one that speaks OpenID Connect is a few settings. */
@Injectable()
export class Providers {
  private readonly byName: ReadonlyMap<string, IdentityProvider>;

  constructor(
    private readonly config: Config,
    private readonly http: ProviderHttp,
    private readonly clock: Clock,
  ) {
    const all = [...this.google(), ...this.facebook(), ...this.apple(), ...this.others()];
    this.byName = new Map(all.map((provider) => [provider.name, provider]));
  }

  find(name: string): IdentityProvider | null {
    return this.byName.get(name) ?? null;
  }

  private google(): IdentityProvider[] {
    const { google } = this.config.social;
    const { clientId, clientSecret, audiences, issuer } = google;
    if (clientId === null || clientSecret === null) return [];
    return [
      this.openId({
        name: 'google',
        displayName: 'Google',
        issuer,
        // Google's papers name both spellings.
        issuerAliases: [new URL(issuer).host],
        clientId,
        clientSecret: () => clientSecret,
        audiences,
        scopes: SCOPES,
        readAccessToken: (accessToken) => readGoogleAccessToken(this.http, google, accessToken),
      }),
    ];
  }

  private facebook(): IdentityProvider[] {
    const { facebook } = this.config.social;
    return facebook.clientId === null ? [] : [new Facebook(facebook, this.http, this.clock)];
  }

  private apple(): IdentityProvider[] {
    const { apple } = this.config.social;
    if (apple.clientId === null) return [];
    const { clientId, audiences, issuer } = apple;
    const clientSecret = () => appleClientSecret(apple, this.clock);
    // No scope but `openid`: with any other, Apple answers browsers by a form that no single page can read.
    return [
      this.openId({ name: 'apple', displayName: 'Apple', issuer, clientId, clientSecret, audiences, scopes: 'openid' }),
    ];
  }

  private others(): IdentityProvider[] {
    return this.config.social.openId.flatMap(({ issuer, clientId, clientSecret, ...settings }) => {
      if (issuer === null || clientId === null || clientSecret === null) return [];
      return [this.openId({ ...settings, issuer, clientId, clientSecret: () => clientSecret })];
    });
  }

  private openId(settings: Omit<ConstructorParameters<typeof OpenIdProvider>[0], 'leewaySeconds'>): IdentityProvider {
    const { leewaySeconds } = this.config.tokens;
    return new OpenIdProvider({ ...settings, leewaySeconds }, this.http, this.clock);
  }
}
