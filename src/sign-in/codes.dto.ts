import { ApiProperty } from '@nestjs/swagger';
import { IsBoolean, IsIn, IsString, IsUUID, MaxLength, MinLength, ValidateIf } from 'class-validator';
import { DeviceSummaryDto } from '../two-factor/two-factor.dto.js';

export const EXAMPLE_CODE_TOKEN = 'eyJhbGciOiJIUzI1NiIsInR5cCI6ImNvZGUrand0In0.eyJzdWIiOiIwMTlhIn0.c2lnbmF0dXJl';
const EXAMPLE_DEVICE = '019aa8d2-8f02-7a51-b1c4-0d6a1e5b7c22';

/** The second factor. */
export class SecondFactorDto {
  @ApiProperty({
    minLength: 1,
    maxLength: 8192,
    example: EXAMPLE_CODE_TOKEN,
    description: 'From the first factor’s answer.',
  })
  @IsString()
  @MinLength(1)
  @MaxLength(8192)
  codeToken!: string;

  @ApiProperty({
    minLength: 1,
    maxLength: 64,
    example: '492039',
    description: 'What the user types; spaces and dashes do not matter.',
  })
  @IsString()
  @MinLength(1)
  @MaxLength(64)
  code!: string;

  @ApiProperty({
    required: false,
    format: 'uuid',
    example: EXAMPLE_DEVICE,
    description:
      'Another of the listed devices than the one being asked. One that receives codes must be asked first (POST /auth/otp).',
  })
  @ValidateIf((body: SecondFactorDto) => body.deviceId !== undefined)
  @IsUUID()
  deviceId?: string;

  @ApiProperty({
    required: false,
    example: false,
    description: 'Whether this browser needs no second factor for a while (TRUSTED_BROWSER_TTL).',
  })
  @ValidateIf((body: SecondFactorDto) => body.trustBrowser !== undefined)
  @IsBoolean()
  trustBrowser?: boolean;
}

/** Asks for a code: again within a sign-in (`codeToken`), or instead of a password (`identifier`). */
export class AskForCodeDto {
  @ApiProperty({
    required: false,
    minLength: 1,
    maxLength: 8192,
    example: EXAMPLE_CODE_TOKEN,
    description: 'From the first factor’s answer.',
  })
  @ValidateIf((body: AskForCodeDto) => body.codeToken !== undefined || body.identifier === undefined)
  @IsString()
  @MinLength(1)
  @MaxLength(8192)
  codeToken?: string;

  @ApiProperty({
    required: false,
    format: 'uuid',
    example: EXAMPLE_DEVICE,
    description: 'With a code token: the device to ask; absent: the same again.',
  })
  @ValidateIf((body: AskForCodeDto) => body.deviceId !== undefined)
  @IsUUID()
  deviceId?: string;

  @ApiProperty({
    required: false,
    minLength: 1,
    maxLength: 254,
    example: 'ada@example.com',
    description: 'Instead of a code token: whom to send a code that stands for the password.',
  })
  @ValidateIf((body: AskForCodeDto) => body.identifier !== undefined)
  @IsString()
  @MinLength(1)
  @MaxLength(254)
  identifier?: string;

  @ApiProperty({
    required: false,
    enum: ['email', 'sms'],
    example: 'email',
    description: 'With an identifier: how to send it; absent: as the identifier suggests.',
  })
  @ValidateIf((body: AskForCodeDto) => body.channel !== undefined)
  @IsIn(['email', 'sms'])
  channel?: 'email' | 'sms';
}

export class AskedDto {
  @ApiProperty({
    type: 'integer',
    example: 60,
    description: 'Seconds until another code may be asked for; 0 where none is sent.',
  })
  resendIn!: number;

  @ApiProperty({
    required: false,
    type: DeviceSummaryDto,
    description: 'The device that is being asked now; absent where an identifier was given, known or not.',
  })
  device?: DeviceSummaryDto;
}
