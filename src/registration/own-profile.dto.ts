import { ApiProperty } from '@nestjs/swagger';
import { IsString, MaxLength, ValidateIf } from 'class-validator';
import { UpdateProfileDto } from '../users/users.dto.js';

/** What a user may change about himself. What identifies or reaches him needs a recent proof. */
export class UpdateMeDto extends UpdateProfileDto {
  @ApiProperty({
    required: false,
    type: String,
    nullable: true,
    format: 'idn-email',
    maxLength: 254,
    example: 'ada@example.org',
    description: 'The address of a confirmed device of his own; null: none, where another identity stays.',
  })
  @ValidateIf((body: UpdateMeDto) => body.email !== undefined && body.email !== null)
  @IsString()
  @MaxLength(254)
  email?: string | null;

  @ApiProperty({
    required: false,
    type: String,
    nullable: true,
    maxLength: 64,
    example: '+4915112345678',
    description: 'The number of a confirmed device of his own; null: none, where another identity stays.',
  })
  @ValidateIf((body: UpdateMeDto) => body.phoneNumber !== undefined && body.phoneNumber !== null)
  @IsString()
  @MaxLength(64)
  phoneNumber?: string | null;

  @ApiProperty({
    required: false,
    type: String,
    nullable: true,
    maxLength: 64,
    example: 'ada',
    description: 'Another username; null: none, where another identity stays.',
  })
  @ValidateIf((body: UpdateMeDto) => body.username !== undefined && body.username !== null)
  @IsString()
  @MaxLength(64)
  username?: string | null;
}
