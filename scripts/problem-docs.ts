import { catalogue } from '../src/problems/catalogue.js';

/** `docs/problems.md`. */
export function renderProblemDocs(): string {
  const rows = Object.entries(catalogue).map(
    ([code, { status, title, detail }]) => `| <a id="${code}"></a>\`${code}\` | ${status} | ${title} | ${detail} |`,
  );
  return `<!-- Generated from src/problems/catalogue.ts by \`npm run generate\`. -->

# Problems

Every answer with a status of 400 or more is a problem (RFC 9457): a JSON object of the media type
\`application/problem+json\` with \`type\`, \`title\`, \`status\`, \`detail\`, \`code\` and \`requestId\`. Branch on \`code\`: a code is
never renamed, while titles and details may be reworded. The running service explains the codes at \`/problems\`.

- \`errors\` (\`validation_failed\`) says what is wrong field by field: \`[{ "field": "…", "messages": ["…"] }]\`.
- \`retryAfter\` (429 and 503) is the number of seconds after which the same request may succeed, as in the \`Retry-After\`
  header.
- A 401 carries \`WWW-Authenticate\` (RFC 6750). For \`insufficient_user_authentication\` it names the wanted \`max_age\`
  (RFC 9470): prove a factor with \`POST /api/v1/auth/step-up\`, then repeat the request.
- \`requestId\` is also the \`X-Request-Id\` header of the answer, and stands in the service's log.

| code | status | title | what to do |
| --- | --- | --- | --- |
${rows.join('\n')}
`;
}
