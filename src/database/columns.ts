import { getMetadataArgsStorage } from 'typeorm';
import { SnakeCaseNaming } from './naming.js';

const naming = new SnakeCaseNaming();

/**
 * `"created_at" AS "createdAt", …`: every column of an entity under its name in the code, for a SELECT of our own. The
 * repository would build the same text anew for every look-up, which costs more than the look-up.
 */
export function columnsOf(entity: new () => object): string {
  return getMetadataArgsStorage()
    .filterColumns(entity)
    .map(({ propertyName, options }) => `"${naming.columnName(propertyName, options.name)}" AS "${propertyName}"`)
    .join(', ');
}
