import { Controller, Get, Header } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import { Config } from '../config/config.js';
import { Public } from '../tokens/access.js';
import { LINK_PAGES_SCRIPT, linkPage, MAGIC_LINK_PAGE, RESET_PASSWORD_PAGE, type LinkPage } from './link-pages.js';

const HTML = 'text/html; charset=utf-8';

/**
 * Where links lead unless a frontend has pages of its own. Opening a page uses nothing up: mail scanners do that too.
 * Its button posts.
 */
@ApiExcludeController()
@Controller()
export class LinkPagesController {
  constructor(private readonly config: Config) {}

  @Public()
  @Get('magic-link')
  @Header('Content-Type', HTML)
  @Header('Referrer-Policy', 'no-referrer')
  @Header('Cache-Control', 'no-store')
  magicLink(): string {
    return this.page(MAGIC_LINK_PAGE);
  }

  @Public()
  @Get('reset-password')
  @Header('Content-Type', HTML)
  @Header('Referrer-Policy', 'no-referrer')
  @Header('Cache-Control', 'no-store')
  resetPassword(): string {
    return this.page(RESET_PASSWORD_PAGE);
  }

  @Public()
  @Get('link-pages.js')
  @Header('Content-Type', 'text/javascript; charset=utf-8')
  script(): string {
    return LINK_PAGES_SCRIPT;
  }

  private page(page: LinkPage): string {
    const { basePath, frontendUrl, production } = this.config.server;
    return linkPage(page, { basePath, frontendUrl, showStatus: !production });
  }
}
