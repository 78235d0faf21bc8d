import { hash, verify } from '@node-rs/argon2';
import { betterAuth } from 'better-auth';
import { emailOTP, jwt, twoFactor } from 'better-auth/plugins';
import { createTransport } from 'nodemailer';
import pg from 'pg';

const { DATABASE_URL, SMTP_URL, CACHED, ARGON2 } = process.env;

/** The same hash as everybody here has; the parameters come from bench/people.ts. */
const argon2 = JSON.parse(ARGON2);
const mailer = createTransport({ url: SMTP_URL, pool: true }, { from: 'bench@localhost' });
const cached = CACHED === 'on';

export const pool = new pg.Pool({ connectionString: DATABASE_URL, max: 10 });

/**
 * As its documentation sets it up, but for the password hash, the signature, and limits of addresses, which are off
 * everywhere. With CACHED it need not ask the database who is signed in, for five minutes, and signs no token nobody
 * asked for.
 */
export const options = {
  baseURL: 'http://localhost',
  secret: 'w7Rk2-mPz9Qv4Lx8Tb3Nc6Yh1Jd5Fs0Ga',
  database: pool,
  telemetry: { enabled: false },
  rateLimit: { enabled: false },
  logger: { level: 'error' },
  emailAndPassword: {
    enabled: true,
    autoSignIn: false,
    password: {
      hash: (password) => hash(password, argon2),
      verify: ({ hash: expected, password }) => verify(expected, password),
    },
  },
  session: { cookieCache: { enabled: cached, maxAge: 300 } },
  plugins: [
    jwt({ jwks: { keyPairConfig: { alg: 'ES256' } }, disableSettingJwtHeader: cached }),
    twoFactor(),
    emailOTP({
      otpLength: 7,
      // not waited for, as nobody here waits for the mail server
      sendVerificationOTP: async ({ email, otp }) => {
        mailer.sendMail({ to: email, subject: 'Your code', text: otp }).catch(() => undefined);
      },
    }),
  ],
};

export const auth = betterAuth(options);
