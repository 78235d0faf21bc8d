import type { Command } from 'commander';
import { Audit } from '../audit/audit.service.js';
import { Reencryption } from '../database/reencryption.js';
import { SigningKeyRing } from '../tokens/signing-key-ring.js';
import { BY_CLI, databaseOf } from './arguments.js';
import type { CommandRunner } from './command-runner.js';
import { confirm } from './confirm.js';
import { table, time } from './output.js';

export function addKeyCommands(program: Command, runner: CommandRunner): void {
  const keys = program.command('keys').description('keys that sign access tokens, and keys that seal what is stored');

  keys
    .command('list')
    .description('the signing keys of the database, the newest first')
    .action(
      runner.reading(async (app) => {
        const ring = await app.get(SigningKeyRing).list();
        const rows = ring.map((key) => [
          key.kid,
          key.algorithm,
          key.state,
          time(key.activatesAt),
          time(key.retiresAt),
          time(key.expiresAt),
        ]);
        const head = ['KID', 'ALGORITHM', 'STATE', 'SIGNS FROM', 'SIGNS UNTIL', 'VERIFIES UNTIL'];
        return { data: { keys: ring }, text: table(head, rows) };
      }),
    );

  keys
    .command('rotate')
    .description('publish a new signing key, which takes over as soon as nobody’s copy of the JWKS lacks it')
    .action(
      runner.changing(async (app) => {
        const rotation = await app.get(SigningKeyRing).rotate(BY_CLI.actor);
        const { made, kid, activatesAt } = rotation;
        const what = made ? `Made the key ${kid}` : `The key ${kid} waits already, so no other was made`;
        return { data: rotation, text: `${what}; it signs from ${time(activatesAt)} on.` };
      }),
    );

  keys
    .command('retire <kid>')
    .description('in an emergency: stop trusting a signing key at once; every access token that it signed dies')
    // A kid is base64url: one in 64 begins with a dash, and is no option.
    .allowUnknownOption()
    .option('--yes', 'do not ask')
    .action(
      runner.changing(
        async (app, kid: string, _: { yes?: boolean }) => {
          await app.get(SigningKeyRing).retire(kid, BY_CLI.actor);
          return { data: { kid, retired: true }, text: `The key ${kid} verifies nothing any more.` };
        },
        (kid, options) => confirm(`Retire the key ${kid}? Every access token that it signed dies.`, options),
      ),
    );

  keys
    .command('status')
    .description('how much each key of ENCRYPTION_KEYS seals')
    .action(
      runner.reading(async (app) => {
        const sealed = await app.get(Reencryption).status();
        const rows = sealed.map(({ place, keyId, count, seals }) => [
          place,
          keyId,
          String(count),
          seals ? 'yes' : 'no',
        ]);
        const text = rows.length === 0 ? 'Nothing is sealed.' : table(['PLACE', 'KEY', 'SEALED', 'FIRST KEY'], rows);
        return { data: { sealed }, text };
      }),
    );

  keys
    .command('reencrypt')
    .description('seal everything that is stored with the first of ENCRYPTION_KEYS, while the service runs')
    .action(
      runner.changing(async (app) => {
        const result = await app.get(Reencryption).run();
        const { resealed, changedMeanwhile, unopenable } = result;
        const details = { resealed, unopenable };
        await app.get(Audit).record(databaseOf(app), 'encryption.changed', { userId: null, ...BY_CLI }, details);
        const rest =
          unopenable === 0 ? '' : ` ${unopenable} open with no key: they were changed, or their key is gone.`;
        const again = changedMeanwhile === 0 ? '' : ` ${changedMeanwhile} changed meanwhile; run it again.`;
        return { data: result, text: `${resealed} secrets were sealed again.${again}${rest}`, bad: unopenable > 0 };
      }),
    );
}
