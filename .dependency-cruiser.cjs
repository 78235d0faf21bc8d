/** The folders of src: each imports from itself and from those before it, never from those after it. */
const ARROWS = [
  'config',
  'problems',
  'paging',
  'clock',
  'crypto',
  'database',
  'jobs',
  'audit',
  'notifications',
  'throttling',
  'tokens',
  'delivery',
  'webhooks',
  'users',
  'two-factor',
  'otp-devices',
  'sign-in',
  'invitations',
  'gateway',
  'admin',
  'dev',
  'openapi',
  'health',
  'metrics',
  'tracing',
  'cli',
];

const ROOT_FILES = '^src/[^/]+\\.ts$';
const SPEC = '\\.spec\\.ts$';

const arrows = ARROWS.map((folder, index) => ({
  name: `arrows/${folder}`,
  comment: `${folder} may import from: ${[...ARROWS.slice(0, index), 'itself'].join(', ')}`,
  severity: 'error',
  from: { path: `^src/${folder}/` },
  to: { path: [ROOT_FILES, ...ARROWS.slice(index + 1).map((later) => `^src/${later}/`)] },
}));

module.exports = {
  forbidden: [
    ...arrows,
    {
      name: 'known-folder',
      comment: 'Give a new folder its place in ARROWS.',
      severity: 'error',
      from: { path: '^src/[^/]+/', pathNot: ARROWS.map((folder) => `^src/${folder}/`) },
      to: {},
    },
    {
      name: 'no-circle',
      comment: 'Move what both need to the left of both.',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'no-orphan',
      comment: 'Nothing imports this file: remove it, or import it.',
      severity: 'error',
      from: { orphan: true, pathNot: ['^src/main\\.ts$', SPEC] },
      to: {},
    },
    {
      name: 'no-test-in-src',
      comment: 'What tests need stays in test/.',
      severity: 'error',
      from: { path: '^(src|migrations)/' },
      to: { path: '^(test|scripts|bench)/' },
    },
    {
      name: 'no-spec-imported',
      severity: 'error',
      from: {},
      to: { path: SPEC },
    },
    {
      name: 'no-dev-dependency',
      comment: 'A production image has no devDependencies.',
      severity: 'error',
      from: { path: '^(src|migrations)/', pathNot: SPEC },
      to: { dependencyTypes: ['npm-dev'] },
    },
    {
      name: 'declared',
      comment: 'Declare the package in package.json, or correct the path.',
      severity: 'error',
      from: { pathNot: SPEC },
      to: { dependencyTypes: ['unknown', 'undetermined', 'npm-no-pkg', 'npm-unknown'] },
    },
    {
      name: 'resolvable',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
    {
      name: 'migrations-stand-alone',
      comment: 'A migration describes the past: code that changes later would change it too.',
      severity: 'error',
      from: { path: '^migrations/' },
      to: { pathNot: '^node_modules/typeorm/' },
    },
    {
      name: 'migrations-for-database-only',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/database/' },
      to: { path: '^migrations/' },
    },
    {
      name: 'pure-policy',
      comment: 'The policy decides on facts it is given, and imports nothing.',
      severity: 'error',
      from: { path: '^src/two-factor/policy\\.ts$' },
      to: {},
    },
    {
      name: 'pure-requirement',
      comment: 'What rules demand, and what follows from it, is decided on facts alone.',
      severity: 'error',
      from: { path: '^src/two-factor/(requirement|foresight)\\.ts$' },
      to: { pathNot: '^src/two-factor/policy\\.ts$' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'types', 'node', 'default'] },
  },
};
