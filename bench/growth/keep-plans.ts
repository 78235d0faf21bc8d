// Loaded into the service before anything else of it: writes down what PostgreSQL tells its connections.
import { appendFileSync } from 'node:fs';
import pg from 'pg';

const file = process.env['PLANS_FILE'] ?? '';

type Connect = (this: pg.Client, ...parameters: unknown[]) => unknown;
const prototype = pg.Client.prototype as unknown as { connect: Connect };
const { connect } = prototype;

prototype.connect = function (...parameters) {
  this.on('notice', ({ message }) => appendFileSync(file, `${message ?? ''}\0`));
  return connect.apply(this, parameters);
};
