import { defineConfig, globalIgnores } from 'eslint/config';
import tseslint from 'typescript-eslint';

const FORWARD_REF = {
  selector: "Identifier[name='forwardRef']",
  message: 'Two modules that need each other: move the question up to one that needs both.',
};
const ENVIRONMENT = [
  "MemberExpression[object.name='process'][property.name='env']",
  "VariableDeclarator[init.name='process'] Property[key.name='env']",
  "ImportDeclaration[source.value=/^(node:)?process$/] ImportSpecifier[imported.name='env']",
].map((selector) => ({
  selector,
  message: 'Only src/config/env.ts reads the environment: add the setting to src/config/settings.ts.',
}));
const LEFT_OUT_TEST = {
  selector: 'MemberExpression[object.name=/^(describe|it|suite|test)$/][property.name=/^(only|skip|todo)$/]',
  message: 'A test that does not run proves nothing. What a platform cannot run says so with skipIf.',
};

export default defineConfig([
  globalIgnores(['**/dist/', 'coverage/', '.countersign/']),
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: {
      eqeqeq: 'error',
      'no-restricted-imports': ['error', { paths: ['lodash', 'underscore', 'moment'] }],
      // Files with decorators are left alone by it: Nest reads the classes in their signatures at run time.
      '@typescript-eslint/consistent-type-imports': [
        'error',
        { fixStyle: 'inline-type-imports', disallowTypeAnnotations: false },
      ],
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],

      // The types know neither what happens during an await, nor that spawnSync may answer null.
      '@typescript-eslint/no-unnecessary-condition': 'off',
      // A string is spread to count its code points, as meant.
      '@typescript-eslint/no-misused-spread': ['error', { allow: ['string', { from: 'file', name: 'DeviceDto' }] }],
      // Numbers print the same everywhere.
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      // A Nest module is a class without members.
      '@typescript-eslint/no-extraneous-class': ['error', { allowWithDecorator: true }],
      // `return done(problem)` and `() => calls.push(x)` say what is meant.
      '@typescript-eslint/no-confusing-void-expression': 'off',
      // DTOs are classes for the sake of validation and documents; answers are plain objects of that shape.
      '@typescript-eslint/no-unsafe-class-instance-assignment': 'off',
      // `json<Session>(answer)`: the caller says what it expects.
      '@typescript-eslint/no-unnecessary-type-parameters': 'off',
      // An interface may want a promise from an implementation that has nothing to wait for.
      '@typescript-eslint/require-await': 'off',
    },
  },
  {
    files: ['src/**/*.ts'],
    rules: {
      'no-console': 'error',
      'no-restricted-syntax': ['error', FORWARD_REF, ...ENVIRONMENT],
    },
  },
  {
    // The reader of the environment; and what hands a small one to the processes of the embedded database.
    files: ['src/config/env.ts', 'src/database/embedded*.ts'],
    rules: { 'no-restricted-syntax': ['error', FORWARD_REF] },
  },
  {
    files: ['**/*.spec.ts', 'test/**/*.ts'],
    rules: {
      'no-restricted-syntax': ['error', FORWARD_REF, LEFT_OUT_TEST],
      // Tests look at methods without calling them.
      '@typescript-eslint/unbound-method': 'off',
      // `expect.any(String)` is an any.
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-misused-spread': 'off',
      '@typescript-eslint/no-unnecessary-type-arguments': 'off',
    },
  },
]);
