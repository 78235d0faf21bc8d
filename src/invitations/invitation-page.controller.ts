import { Controller, Get, Header } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import { Config } from '../config/config.js';
import { linkPage } from '../sign-in/link-pages.js';
import { Public } from '../tokens/access.js';
import { INVITATION_PAGE, INVITATION_SCRIPT } from './invitation-page.js';

/** Where invitations lead unless a frontend has a page of its own. Opening it uses nothing up. */
@ApiExcludeController()
@Controller()
export class InvitationPageController {
  constructor(private readonly config: Config) {}

  @Public()
  @Get('invitation')
  @Header('Content-Type', 'text/html; charset=utf-8')
  @Header('Referrer-Policy', 'no-referrer')
  @Header('Cache-Control', 'no-store')
  page(): string {
    const { basePath, frontendUrl } = this.config.server;
    return linkPage(INVITATION_PAGE, { basePath, frontendUrl, showStatus: false });
  }

  @Public()
  @Get('invitation.js')
  @Header('Content-Type', 'text/javascript; charset=utf-8')
  script(): string {
    return INVITATION_SCRIPT;
  }
}
