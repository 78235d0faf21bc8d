import { defineConfig, globalIgnores } from 'eslint/config';
import tseslint from 'typescript-eslint';

/** What no file of the service may contain. ESLint keeps one list a file, so each block below names its whole list. */
const FORWARD_REF = {
  selector: "Identifier[name='forwardRef']",
  message: 'A cycle between modules: move the question up to the module that needs both.',
};
const ENVIRONMENT = [
  "MemberExpression[object.name='process'][property.name='env']",
  "VariableDeclarator[init.name='process'] Property[key.name='env']",
  "ImportDeclaration[source.value=/^(node:)?process$/] ImportSpecifier[imported.name='env']",
].map((selector) => ({
  selector,
  message: 'Only src/config/env.ts reads the environment: add a setting to src/config/settings.ts.',
}));
const UNFINISHED_TEST = {
  selector: 'CallExpression > MemberExpression[object.name=/^(describe|it|suite|test)$/][property.name=/^(only|skip)$/]',
  message: 'A test that is left out proves nothing. Where a platform cannot run it, say so with skipIf.',
};

export default defineConfig([
  globalIgnores(['dist/', 'coverage/', '.countersign/']),
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      eqeqeq: 'error',
    },
  },
]);
