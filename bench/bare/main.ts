import { createBare } from './server.js';

// The one who measures starts this as a process of its own, and says with these variables where everything is.
const { DATABASE_URL: databaseUrl = '', SMTP_URL: smtpUrl = '', PORT: port = '' } = process.env;

await createBare(databaseUrl, smtpUrl).listen({ host: '127.0.0.1', port: Number(port) });
