import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

/** The one thing that ReDoc fetches from elsewhere. */
const LOGO = 'https://cdn.redoc.ly/redoc/logo-mini.svg';
const NO_IMAGE = 'data:,';

let bundle: string | null = null;

/** ReDoc from its npm package, with the request to its maker's server taken out; the text beside the logo stays. */
export function redocBundle(): string {
  const require = createRequire(import.meta.url);
  bundle ??= readFileSync(require.resolve('redoc/bundles/redoc.standalone.js'), 'utf8').replaceAll(LOGO, NO_IMAGE);
  return bundle;
}

/** ReDoc starts itself on the element `redoc`, so the page needs no script of its own. */
export function redocPage(hasTrailingSlash: boolean): string {
  const root = hasTrailingSlash ? '../' : './';
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Countersign API</title>
<link rel="icon" href="data:,">
<style>body { margin: 0; }</style>
</head>
<body>
<redoc spec-url="${root}openapi.json"></redoc>
<noscript>This page needs JavaScript; the document itself is <a href="${root}openapi.json">openapi.json</a>.</noscript>
<script src="${root}redoc/redoc.standalone.js"></script>
</body>
</html>
`;
}
