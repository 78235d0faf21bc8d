import { ApiProperty } from '@nestjs/swagger';
import { IsString, MaxLength, MinLength, ValidateIf } from 'class-validator';

/** Whom to send a link. */
export class AskForLinkDto {
  @ApiProperty({ minLength: 1, maxLength: 254, example: 'ada@example.com', description: 'Whose account it is.' })
  @IsString()
  @MinLength(1)
  @MaxLength(254)
  identifier!: string;

  @ApiProperty({
    required: false,
    maxLength: 2048,
    example: 'https://app.example.com/signed-in',
    description: 'Where the link leads, with `?token=`: exactly one of REDIRECT_ALLOWLIST.',
  })
  @ValidateIf((body: AskForLinkDto) => body.redirectTo !== undefined)
  @IsString()
  @MaxLength(2048)
  redirectTo?: string;
}

/** Whom to let choose a new password. */
export class AskForResetDto {
  @ApiProperty({ minLength: 1, maxLength: 254, example: 'ada@example.com', description: 'Whose account it is.' })
  @IsString()
  @MinLength(1)
  @MaxLength(254)
  identifier!: string;
}

/** The token of a link. */
export class RedeemLinkDto {
  @ApiProperty({
    minLength: 1,
    maxLength: 200,
    example: 'c29tZXRoaW5nIHRoYXQgbm9ib2R5IGNvdWxkIGd1ZXNz',
    description: 'What stood in the link as `token`.',
  })
  @IsString()
  @MinLength(1)
  @MaxLength(200)
  token!: string;
}

/** A new password for whoever holds the link, or the code. */
export class ConfirmResetDto {
  @ApiProperty({
    required: false,
    minLength: 1,
    maxLength: 200,
    example: 'c29tZXRoaW5nIHRoYXQgbm9ib2R5IGNvdWxkIGd1ZXNz',
    description: 'From the link, which came by mail. Required unless a code came by text message.',
  })
  @ValidateIf((body: ConfirmResetDto) => body.token !== undefined || body.code === undefined)
  @IsString()
  @MinLength(1)
  @MaxLength(200)
  token?: string;

  @ApiProperty({
    required: false,
    minLength: 1,
    maxLength: 254,
    example: '+4915112345678',
    description: 'With a code: the identifier it was asked for with.',
  })
  @ValidateIf((body: ConfirmResetDto) => body.identifier !== undefined || body.code !== undefined)
  @IsString()
  @MinLength(1)
  @MaxLength(254)
  identifier?: string;

  @ApiProperty({
    required: false,
    minLength: 1,
    maxLength: 64,
    example: '492039',
    description: 'From the text message.',
  })
  @ValidateIf((body: ConfirmResetDto) => body.code !== undefined)
  @IsString()
  @MinLength(1)
  @MaxLength(64)
  code?: string;

  @ApiProperty({ maxLength: 1024, example: 'four other uncommon words', description: 'The new password.' })
  @IsString()
  @MaxLength(1024)
  newPassword!: string;
}

/** What is answered whether or not anybody has the identifier. */
export class SentDto {
  @ApiProperty({ type: 'integer', example: 60, description: 'Seconds until another message may be asked for.' })
  resendIn!: number;
}
