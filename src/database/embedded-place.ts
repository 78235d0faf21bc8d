import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { cannotRun, codeOf, EmbeddedPostgresError } from './embedded-error.js';
import { canWrite, findUnprivilegedUser, isRoot, type User } from './embedded-user.js';

/** Where one cluster lives. */
export interface Place {
  /** Holds `home`, and a copy of the binaries where one is needed. */
  readonly base: string;
  /** Open to the user of the server alone: authentication is `trust`, so whoever reaches the socket is in. */
  readonly home: string;
  readonly data: string;
  readonly socketDir: string;
  /** Absent: the server runs as the user of this process. */
  readonly user: User | undefined;
}

const ELSEWHERE = '/var/lib/countersign';
const NOTE = 'postgres-is-elsewhere.txt';
/** The socket's path must fit the address of a socket: 103 bytes on macOS, 107 on Linux. */
const LONGEST_SOCKET_PATH = 103;

export const isCluster = (data: string): boolean => fs.existsSync(path.join(data, 'PG_VERSION'));

/** Makes the folders of a cluster; answers where they are. */
export function preparePlace(folder: string): Place {
  const wanted = realFolder(folder);
  return isRoot() ? placeForRoot(wanted) : placeAt(wanted, undefined);
}

/** One spelling for every process: the folder is compared, hashed and looked for in command lines. */
function realFolder(folder: string): string {
  try {
    fs.mkdirSync(folder, { recursive: true, mode: isRoot() ? 0o711 : 0o700 });
  } catch (cause) {
    if (codeOf(cause) === 'ENOENT') fs.accessSync(nearestExisting(folder), fs.constants.W_OK); // Node's mask of EROFS
    throw cause;
  }
  return fs.realpathSync(folder);
}

const nearestExisting = (folder: string): string =>
  fs.existsSync(folder) ? folder : nearestExisting(path.dirname(folder));

function placeAt(base: string, user: User | undefined): Place {
  const home = homeOf(base);
  makePrivate(home, user);
  if (!user) fs.accessSync(home, fs.constants.W_OK | fs.constants.X_OK);
  return { base, home, data: dataOf(base), socketDir: socketFolder(home, user), user };
}

const homeOf = (base: string): string => path.join(base, 'postgres');
const dataOf = (base: string): string => path.join(homeOf(base), 'data');

function makePrivate(folder: string, user: User | undefined): void {
  fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
  if (user) fs.chownSync(folder, user.uid, user.gid);
  if (fs.statSync(folder).mode & 0o077) fs.chmodSync(folder, 0o700);
}

/** Deep folders get their socket below /tmp: not os.tmpdir(), as every process must find the same one. */
function socketFolder(home: string, user: User | undefined): string {
  if (Buffer.byteLength(path.join(home, '.s.PGSQL.5432')) <= LONGEST_SOCKET_PATH) return home;
  const short = `/tmp/countersign-${hashOf(home)}`;
  const owner = user?.uid ?? process.getuid?.();
  if (!fs.existsSync(short)) makePrivate(short, user);
  const found = fs.lstatSync(short);
  if (found.isDirectory() && found.uid === owner && (found.mode & 0o077) === 0) return short;
  // anyone may write to /tmp: a folder laid there by someone else could lead us to their server
  throw new EmbeddedPostgresError(
    `${short} belongs to someone else; remove it, point DATA_DIR to a shorter path, or set DATABASE_URL`,
  );
}

const hashOf = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 16);

/**
 * As root the server runs as another user, who may not get to the folder (below /root, say). The cluster then lives
 * in /var/lib/countersign and the folder keeps a note that says so. A cluster that exists is always found again.
 */
function placeForRoot(wanted: string): Place {
  const kept = [wanted, ...readNote(wanted)].find((base) => isCluster(dataOf(base)));
  if (kept) return placeOfKept(kept);
  const user = findUnprivilegedUser();
  if (!user)
    throw cannotRun('the process runs as root and /etc/passwd has neither "postgres" nor "nobody" to run it as');
  return tryPlace(wanted, user) ?? placeElsewhere(wanted, user);
}

/** The owner of the files runs the server: `postgres` may have joined the machine after `nobody` made the cluster. */
function placeOfKept(base: string): Place {
  const { uid, gid } = fs.statSync(dataOf(base));
  if (uid === 0) {
    throw new EmbeddedPostgresError(
      `${dataOf(base)} belongs to root, and PostgreSQL refuses that; give it back with "chown -R" to another user, point DATA_DIR to another folder, or set DATABASE_URL`,
    );
  }
  const place = tryPlace(base, { uid, gid });
  if (place) return place;
  throw new EmbeddedPostgresError(
    `The database in ${base} belongs to uid ${uid}, who cannot reach that folder; open its parents (chmod o+x), point DATA_DIR to another folder, or set DATABASE_URL`,
  );
}

function placeElsewhere(wanted: string, user: User): Place {
  const base = path.join(ELSEWHERE, hashOf(wanted));
  makeReachable(ELSEWHERE);
  makeReachable(base);
  const place = tryPlace(base, user);
  if (!place) {
    throw new EmbeddedPostgresError(
      `Neither ${wanted} nor ${ELSEWHERE} can be reached by uid ${user.uid}, whom the database runs as; point DATA_DIR to a folder open to it, or set DATABASE_URL`,
    );
  }
  fs.writeFileSync(
    path.join(wanted, NOTE),
    `PostgreSQL does not run as root, and its user cannot reach this folder. The database is kept in:\n${base}\n`,
  );
  return place;
}

function makeReachable(folder: string): void {
  fs.mkdirSync(folder, { recursive: true });
  fs.chmodSync(folder, 0o755);
}

function readNote(wanted: string): string[] {
  try {
    const note = fs.readFileSync(path.join(wanted, NOTE), 'utf8');
    return note.split('\n').filter((line) => path.isAbsolute(line));
  } catch {
    return []; // no note: nothing has moved
  }
}

/** Null where that user cannot use the folder; what was made for the try is taken away again. */
function tryPlace(base: string, user: User): Place | null {
  const home = homeOf(base);
  const existed = fs.existsSync(home);
  letThrough(base);
  const chowned = tryChown(() => makePrivate(home, user));
  if (chowned && canWrite(user, home)) return placeAt(base, user);
  if (!existed) fs.rmSync(home, { recursive: true, force: true });
  return null;
}

/** A share that maps root to nobody refuses chown; that is a folder the user of the server cannot have. */
function tryChown(make: () => void): boolean {
  try {
    make();
    return true;
  } catch (cause) {
    if (codeOf(cause) === 'EPERM') return false;
    throw cause;
  }
}

/** Root's own data folder is 0700 once it holds the secret; others may pass through it, and still not list or read. */
function letThrough(base: string): void {
  const { uid, mode } = fs.statSync(base);
  const onlyOurs = fs.readdirSync(base).every((name) => name === 'secret-key' || name.startsWith('postgres'));
  if (uid === 0 && !(mode & 0o001) && onlyOurs) fs.chmodSync(base, (mode & 0o777) | 0o011);
}
