import { DefaultNamingStrategy } from 'typeorm';

/** `createdAt` in the code is `created_at` in the database, without saying so at every column. */
export class SnakeCaseNaming extends DefaultNamingStrategy {
  override columnName(propertyName: string, customName: string | undefined): string {
    return customName ?? propertyName.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  }
}
