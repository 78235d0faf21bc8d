import { ApiProperty } from '@nestjs/swagger';
import { IsString, IsUUID, MaxLength, MinLength, ValidateIf } from 'class-validator';
import { EXAMPLE_ACCESS_TOKEN, TOKEN_TYPE_DESCRIPTION, TOKEN_TYPES, type TokenType } from '../tokens/tokens.dto.js';

const EXAMPLE_DEVICE = '019aa8d2-8f02-7a51-b1c4-0d6a1e5b7c22';

export class StepUpDto {
  @ApiProperty({
    required: false,
    format: 'uuid',
    example: EXAMPLE_DEVICE,
    description: 'The device to ask or to answer with; absent: the one that a sign-in asks first.',
  })
  @ValidateIf((body: StepUpDto) => body.deviceId !== undefined)
  @IsUUID()
  deviceId?: string;

  @ApiProperty({
    required: false,
    minLength: 1,
    maxLength: 64,
    example: '492039',
    description: 'The device’s code. Absent: a code is sent, or shown by the app.',
  })
  @ValidateIf((body: StepUpDto) => body.code !== undefined)
  @IsString()
  @MinLength(1)
  @MaxLength(64)
  code?: string;

  @ApiProperty({
    required: false,
    minLength: 1,
    maxLength: 1024,
    example: 'three uncommon words',
    description: 'Instead of a code, only where the user has no device.',
  })
  @ValidateIf((body: StepUpDto) => body.password !== undefined)
  @IsString()
  @MinLength(1)
  @MaxLength(1024)
  password?: string;
}

/** An access token whose `auth_time` is now. */
export class SteppedUpDto {
  @ApiProperty({ enum: TOKEN_TYPES, description: TOKEN_TYPE_DESCRIPTION })
  tokenType!: TokenType;

  @ApiProperty({
    required: false,
    example: EXAMPLE_ACCESS_TOKEN,
    description: 'Replaces the present access token; the refresh token stays. Absent where it was set as a cookie.',
  })
  accessToken?: string;

  @ApiProperty({ type: 'integer', example: 300, description: 'Its life, in seconds.' })
  expiresIn!: number;
}
