/** One stable code a caller may branch on. Codes are never renamed; adding one is a line here and nothing else. */
interface CatalogueEntry {
  status: number;
  title: string;
  /** What happened and what to do next, without telling whether an account exists. */
  detail: string;
}

const entries = {
  validation_failed: {
    status: 400,
    title: 'The request is not valid',
    detail: 'Correct the fields listed in "errors" and send the request again.',
  },
  invalid_link: {
    status: 400,
    title: 'The link is not valid',
    detail: 'The link was used, has expired, or a newer one was sent. Ask for another.',
  },
  invalid_invitation: {
    status: 400,
    title: 'The invitation is not valid',
    detail: 'The invitation was accepted, has expired, was revoked, or was sent again. Ask whoever invited you.',
  },
  redirect_not_allowed: {
    status: 400,
    title: 'The redirect is not allowed',
    detail: 'redirectTo must be exactly one of the addresses that the operator allows (REDIRECT_ALLOWLIST).',
  },
  webhook_target_not_allowed: {
    status: 400,
    title: 'A webhook cannot lead there',
    detail: 'Send an https URL of a public host, without user name, password and fragment.',
  },
  identity_refused: {
    status: 400,
    title: 'Not accepted here',
    detail:
      'The operator does not accept what stands in the fields listed in "errors". Use something else, or ask him.',
  },
  identity_proof_not_accepted: {
    status: 400,
    title: 'The provider cannot be asked about that',
    detail:
      'What was sent cannot prove an identity of this provider. Most take a code or an ID token; only Google and Facebook say whom an access token was made for.',
  },
  malformed_body: {
    status: 400,
    title: 'The body cannot be read',
    detail:
      'Send one well-formed JSON object in UTF-8, at most 16 levels deep and with at most 256 keys an object, without control character NUL or reserved keys.',
  },
  authentication_required: {
    status: 401,
    title: 'No token was sent',
    detail: 'Send an access token as "Authorization: Bearer …". Sign in with POST /api/v1/auth/token to get one.',
  },
  invalid_token: {
    status: 401,
    title: 'The token is not valid here',
    detail: 'The token is malformed, expired, revoked or of the wrong kind. Refresh it or sign in again.',
  },
  insufficient_user_authentication: {
    status: 401,
    title: 'A more recent sign-in is needed',
    detail: 'Prove a factor again with POST /api/v1/auth/step-up (or sign in again), then repeat the request.',
  },
  invalid_credentials: {
    status: 401,
    title: 'Wrong identifier or password',
    detail: 'No active account matches the identifier and password that were sent.',
  },
  identity_not_proved: {
    status: 401,
    title: 'The provider does not vouch for that',
    detail:
      'What was sent is not valid, was made for another application, has expired or was used before. Begin again at the provider, with a new nonce.',
  },
  invalid_code: {
    status: 401,
    title: 'Wrong code',
    detail:
      'The code is wrong, was used before or belongs to another request. Type the newest code, or ask for another.',
  },
  token_expired: {
    status: 401,
    title: 'The code token is no longer valid',
    detail: 'The code token has expired, or a change of the account’s security made it void. Sign in again.',
  },
  token_already_used: {
    status: 401,
    title: 'The code token was used before',
    detail: 'This code token has already completed a sign-in. If that was not you, change your password.',
  },
  invalid_refresh_token: {
    status: 401,
    title: 'The refresh token is not valid',
    detail: 'The session has ended or never existed. Sign in again.',
  },
  refresh_token_reused: {
    status: 401,
    title: 'The refresh token was used before',
    detail: 'An already rotated refresh token came back, so its session was ended. Sign in again.',
  },
  too_many_attempts: {
    status: 403,
    title: 'Too many wrong codes',
    detail: 'The attempts of this code are used up, even for the right one. Start again to get a new code.',
  },
  enrollment_required: {
    status: 403,
    title: 'A second factor must be enrolled first',
    detail:
      'An enrollment token only opens creating and confirming an OTP device. Finish the enrollment to get an access token.',
  },
  two_factor_not_configured: {
    status: 403,
    title: 'No second factor is configured',
    detail: 'A second factor is required, but this account has no device and no address for one. Ask an administrator.',
  },
  two_factor_required_by_policy: {
    status: 403,
    title: 'The second factor cannot be switched off',
    detail: 'The policy of this service requires a second factor for this account.',
  },
  method_not_allowed: {
    status: 403,
    title: 'The method is not allowed',
    detail:
      'Choose a method that the policy allows and of which a confirmed device exists; GET /api/v1/users/me/two-factor lists them.',
  },
  invalid_signature: {
    status: 403,
    title: 'The signature is not valid',
    detail: 'This address is for the reports of a configured provider, and the request does not prove to be one.',
  },
  trusted_browsers_off: {
    status: 403,
    title: 'Browsers cannot be trusted here',
    detail: 'This service asks for the second factor every time. Repeat the request without trustBrowser.',
  },
  role_required: {
    status: 403,
    title: 'Your roles do not open this',
    detail: 'Your account has none of the roles that are needed here. Ask an administrator.',
  },
  gateway_misconfigured: {
    status: 403,
    title: 'The gateway asks for what does not exist',
    detail:
      'Tell its operator: only acr (aal1, aal2), maxAge (seconds) and role are understood; the log names what is not.',
  },
  authorization_unknown: {
    status: 403,
    title: 'Whether you may is not known at the moment',
    detail: 'Your token was neither accepted nor refused. Keep it, and wait as long as Retry-After says.',
  },
  cross_site_request: {
    status: 403,
    title: 'Another site sent the request',
    detail:
      'A change by cookie must come from a page of this origin, or of one of CORS_ORIGINS, and say so with Sec-Fetch-Site or Origin. Other clients send the access token as "Authorization: Bearer …".',
  },
  admin_required: {
    status: 403,
    title: 'Only administrators may do this',
    detail: 'Your account does not have the role "admin". Ask an administrator.',
  },
  address_refused: {
    status: 403,
    title: 'Your network address is refused',
    detail:
      'Neither registrations nor requests for codes are accepted from it, perhaps for a while only. Ask the operator.',
  },
  address_change_off: {
    status: 403,
    title: 'Addresses cannot be changed here',
    detail: 'This service does not let users change their addresses. Ask an administrator.',
  },
  registration_closed: {
    status: 403,
    title: 'Registration is closed',
    detail: 'This service does not accept new accounts. Ask an administrator for one.',
  },
  invitations_closed: {
    status: 403,
    title: 'Nobody can be invited',
    detail: 'This service does not let its users invite others. Ask an administrator.',
  },
  invitation_for_another_address: {
    status: 403,
    title: 'The invitation is for another address',
    detail:
      'The account that you are signed in to has not proved the address that was invited. Sign out and open the invitation again, or sign in to the account of that address.',
  },
  account_not_proved: {
    status: 403,
    title: 'The account of the address is not proved',
    detail:
      'An account names this address and is protected by something else, but has never proved the address. Sign in to it and prove it with a code, or ask an administrator; then open the invitation again.',
  },
  not_found: {
    status: 404,
    title: 'Not found',
    detail: 'Nothing of yours is at this address.',
  },
  http_method_not_allowed: {
    status: 405,
    title: 'The HTTP method is not allowed here',
    detail: 'This path exists, but not with this method; the Allow header names those it knows.',
  },
  identity_taken: {
    status: 409,
    title: 'The address or name is taken',
    detail:
      'An account with this address or username, or with one that looks like it, exists. Sign in, or choose another.',
  },
  already_invited: {
    status: 409,
    title: 'The address is invited already',
    detail: 'An invitation of yours to this address is open. Send it again with POST /api/v1/invitations/{id}/resend.',
  },
  invitation_not_open: {
    status: 409,
    title: 'The invitation is not open',
    detail:
      'It was accepted, has expired or was revoked, so there is nothing to do with it. Invite again if you need to.',
  },
  identity_connected_elsewhere: {
    status: 409,
    title: 'The identity belongs to another account',
    detail: 'Sign in with it, and disconnect it there first.',
  },
  provider_already_connected: {
    status: 409,
    title: 'The provider is connected already',
    detail: 'The account has another identity of this provider. Disconnect that one first.',
  },
  last_way_in: {
    status: 409,
    title: 'Nothing would be left to sign in with',
    detail: 'Choose a password, prove an e-mail address or phone number, or connect another provider first.',
  },
  address_not_confirmed: {
    status: 409,
    title: 'The address is not confirmed',
    detail: 'Add the address as a device with POST /otp-devices and confirm it first.',
  },
  identity_needed: {
    status: 409,
    title: 'This is still needed',
    detail:
      'Without it nothing would identify you, or no second factor could be asked. Add another address or name, or enroll a device, first.',
  },
  device_already_confirmed: {
    status: 409,
    title: 'The device is confirmed already',
    detail: 'Nothing is left to confirm. Sign in with it.',
  },
  last_device: {
    status: 409,
    title: 'The last device cannot be removed',
    detail: 'The policy requires a second factor. Enroll another device first.',
  },
  last_admin: {
    status: 409,
    title: 'No administrator would be left',
    detail:
      'After this no administrator could sign in any more. Give another account the role first, or let one enroll a device.',
  },
  too_many_webhooks: {
    status: 409,
    title: 'There are too many webhooks',
    detail: 'Remove one first, or let one receiver hand the events on.',
  },
  webhook_inactive: {
    status: 409,
    title: 'The webhook is switched off',
    detail: 'Switch it on first: PATCH /api/v1/admin/webhooks/{id} with "active": true.',
  },
  recovery_not_possible: {
    status: 409,
    title: 'No recovery link can be sent',
    detail: 'The account is inactive or has no verified e-mail address, so the link would reach nobody who may use it.',
  },
  device_expired: {
    status: 410,
    title: 'The device was not confirmed in time',
    detail: 'A device must be confirmed soon after it was created. Create it again.',
  },
  payload_too_large: {
    status: 413,
    title: 'The body is too large',
    detail: 'Send at most 32 KiB.',
  },
  unsupported_media_type: {
    status: 415,
    title: 'The media type is not supported',
    detail: 'Send the body as application/json in UTF-8, without content encoding.',
  },
  too_many_requests: {
    status: 429,
    title: 'Too many requests',
    detail: 'Wait as long as Retry-After says.',
  },
  too_many_failures: {
    status: 429,
    title: 'Too many failures',
    detail: 'After repeated failures this sign-in pauses for a while. Wait as long as Retry-After says.',
  },
  retry_too_soon: {
    status: 429,
    title: 'The last attempt was a moment ago',
    detail: 'Wait as long as Retry-After says between two attempts. This attempt was not counted.',
  },
  too_many_code_tokens: {
    status: 429,
    title: 'Too many sign-ins are open',
    detail: 'Finish one of the open sign-ins, or wait as long as Retry-After says until one expires.',
  },
  too_many_invitations: {
    status: 429,
    title: 'Too many invitations',
    detail:
      'You have invited as many people as you may in a day, or this address as often as you may. Wait as long as Retry-After says.',
  },
  code_recently_sent: {
    status: 429,
    title: 'A code was sent a moment ago',
    detail: 'Look for the last message, or wait as long as Retry-After says before asking for another.',
  },
  too_many_messages: {
    status: 429,
    title: 'Too many messages',
    detail:
      'Too many went to numbers like this one, or to new destinations of this account. Use another method, or wait as long as Retry-After says.',
  },
  headers_too_large: {
    status: 431,
    title: 'The request header is too large',
    detail: 'Send at most 16 KiB of header fields.',
  },
  internal_error: {
    status: 500,
    title: 'Something went wrong on our side',
    detail: 'Nothing was changed by accident. Try again; if it lasts, report the requestId.',
  },
  busy: {
    status: 503,
    title: 'Too much to do at the moment',
    detail: 'The service is at its limit. Wait as long as Retry-After says.',
  },
  unavailable: {
    status: 503,
    title: 'Not available at the moment',
    detail: 'A part that this request needs does not answer. Wait as long as Retry-After says.',
  },
  messages_paused: {
    status: 503,
    title: 'Text messages pause',
    detail:
      'None is sent at the moment. Use another method, such as an authenticator app, a mailbox or a recovery code, or wait as long as Retry-After says.',
  },
  provider_unavailable: {
    status: 503,
    title: 'The provider cannot be asked at the moment',
    detail:
      'Nothing of yours was used up. Wait as long as Retry-After says and send the same again, or sign in another way.',
  },
} satisfies Record<string, CatalogueEntry>;

export type ProblemCode = keyof typeof entries;

/** The only list of problem codes: code → status, title and what to do. */
export const catalogue: Readonly<Record<ProblemCode, CatalogueEntry>> = entries;
