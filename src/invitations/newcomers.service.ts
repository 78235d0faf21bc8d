import { Injectable } from '@nestjs/common';
import type { Client } from '../audit/client.js';
import { Config } from '../config/config.js';
import { IdentityRules } from '../identity-rules/identity-rules.service.js';
import { matchLocale } from '../notifications/locale.js';
import { Problem, type FieldError } from '../problems/problem.js';
import { fieldFaults } from '../registration/fields.js';
import { Passwords } from '../users/password.js';
import { fieldsAfter, profileFaults, storedText } from '../users/profile.js';
import { newUser, type NewUser } from '../users/user.queries.js';
import { Users } from '../users/users.service.js';
import type { AcceptInvitationDto } from './acceptance.dto.js';
import type { Invitation } from './invitations.queries.js';

/** Who an invited address would be, if it had no account. Everything slow happens here, before anything is locked. */
@Injectable()
export class Newcomers {
  constructor(
    private readonly users: Users,
    private readonly passwords: Passwords,
    private readonly identityRules: IdentityRules,
    private readonly config: Config,
  ) {}

  /** @throws Problem validation_failed, identity_refused, address_refused, busy */
  async read(invitation: Invitation, body: AcceptInvitationDto, client: Client): Promise<NewUser> {
    const { address, email } = invitation;
    const { username, password, firstName = '', lastName = '', profile = {} } = body;
    const identity = this.users.readIdentity(email === null ? { phoneNumber: address, username } : { email, username });
    const kind = email === null ? 'phone' : 'email';
    if (!(await this.users.findByIdentifier({ kind, canonical: address }))) {
      this.requireComplete(invitation, body);
      const { emailCanonical, phoneNumber, usernameCanonical } = identity;
      const named = { email: emailCanonical, phoneNumber, username: usernameCanonical, ip: client.ip };
      await this.identityRules.requireAllowed('registration', named, client);
    } else {
      // An account whose address nobody has proved takes over what is sent.
      refuse(profileFaults({ profile }, this.config.accounts));
    }
    if (password !== undefined) this.users.requireGoodPassword('password', password, identity);
    return newUser({
      ...identity,
      firstName: storedText(firstName),
      lastName: storedText(lastName),
      profile: fieldsAfter({}, profile),
      locale: client.locale === null ? null : matchLocale(client.locale),
      passwordHash: password === undefined ? null : await this.passwords.hash(password),
    });
  }

  /** The same fields as of a registration, but that the invitation brings the address, and only that one. */
  private requireComplete({ address, email }: Invitation, body: AcceptInvitationDto): void {
    const { username, password, firstName, lastName, profile = {} } = body;
    const [brought, other] = email === null ? ['phoneNumber', 'email'] : ['email', 'phoneNumber'];
    const { accounts } = this.config;
    const rules = {
      ...accounts,
      requiredFields: accounts.requiredFields.filter((field) => field !== other),
      optionalFields: [...accounts.optionalFields, brought],
      profileFields: accounts.profileFields,
    };
    const given = { [brought]: address, username, password, firstName, lastName };
    refuse([...fieldFaults(given, profile, rules), ...profileFaults({ profile }, accounts)]);
  }
}

function refuse(errors: FieldError[]): void {
  if (errors.length > 0) throw new Problem('validation_failed', { errors });
}
