import type { ClientBase } from 'pg';

/** What cannot hold every letter fails at somebody's name. SQL_ASCII takes whatever bytes it is given. */
const ENCODINGS = ['UTF8', 'SQL_ASCII'];

/** How a database was made or set that this service cannot work with. Its errors later would not say so. */
export async function findUnfitness(client: ClientBase): Promise<string[]> {
  const { rows } = await client.query<{ encoding: string; dateStyle: string }>(
    `SELECT current_setting('server_encoding') AS encoding, current_setting('DateStyle') AS "dateStyle"`,
  );
  const { encoding = '', dateStyle = '' } = rows[0] ?? {};
  const faults: string[] = [];
  if (!ENCODINGS.includes(encoding)) {
    faults.push(`The encoding of the database is ${encoding}, which lacks letters; make it with ENCODING 'UTF8'`);
  }
  // The driver reads times in this form only, and takes all others for none.
  if (!dateStyle.startsWith('ISO')) {
    faults.push(
      `The DateStyle of the database or its user is ${dateStyle}; change it with: ALTER … SET DateStyle = ISO`,
    );
  }
  return faults;
}
