import { HttpStatus, Param, ParseUUIDPipe } from '@nestjs/common';
import { ApiParam } from '@nestjs/swagger';

/** The `id` of an admin route. What is no id is answered like an id that nobody has. */
export const UserId = () => Param('id', new ParseUUIDPipe({ errorHttpStatusCode: HttpStatus.NOT_FOUND }));

/** The same in the OpenAPI document. */
export const ApiUserId = () =>
  ApiParam({ name: 'id', format: 'uuid', example: '019aa8d2-7a31-7c7e-9d56-4f1f2a1f0c11', description: 'The user.' });
