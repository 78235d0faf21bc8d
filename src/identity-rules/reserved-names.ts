import { skeletonOf } from '../users/lookalikes.js';

/**
 * Names by which a stranger would pass for the service, its people or its machinery (RFC 2142, and what mail servers,
 * web servers and URLs give a meaning). Without separators: `no-reply` and `no.reply` are `noreply`.
 */
const RESERVED: ReadonlySet<string> = new Set(
  `abuse account accounts admin administrator anonymous api app auth autoconfig autodiscover billing bot broadcasthost
   contact countersign daemon dev ftp guest help helpdesk hostmaster imap info isatap localdomain localhost login logout
   mail mailerdaemon marketing me moderator news nobody noc noreply null oauth official operator owner password payment
   payments pop pop3 postmaster privacy register registration root sales security service settings signin signout signup
   smtp ssladmin ssladministrator sslwebmaster staff status superuser support sys sysadmin sysop system team test
   undefined usenet user username users uucp verification webmaster wpad www`
    .split(/\s+/)
    .map(skeletonOf),
);

/** Also one that only looks like it: `supp0rt`. */
export function isReservedName(username: string): boolean {
  return RESERVED.has(skeletonOf(username.replace(/[._-]/g, '')));
}
