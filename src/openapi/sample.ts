import type { ExampleObject, MediaTypeObject, ReferenceObject, SchemaObject } from '@nestjs/swagger';

export type Schemas = Readonly<Record<string, SchemaObject | ReferenceObject>>;

const SCHEMAS = '#/components/schemas/';
const FORMATS: Readonly<Record<string, string>> = {
  uuid: '019aa8d2-7a31-7c7e-9d56-4f1f2a1f0c11',
  'date-time': '2026-11-21T10:00:00.000Z',
};

/** A body with examples: those that its decorator gives, else composed of the examples of its properties. */
export function withExamples(media: MediaTypeObject, schemas: Schemas): MediaTypeObject {
  if (!media.schema || media.examples !== undefined || media.example !== undefined) return media;
  const variants = variantsOf(media.schema, schemas);
  const [only] = variants;
  if (only && variants.length === 1) return { ...media, example: sampleOf(only.schema, schemas) };
  const examples = variants.map(({ name, schema }): [string, ExampleObject] => [
    name,
    { value: sampleOf(schema, schemas) },
  ]);
  return { ...media, examples: Object.fromEntries(examples) };
}

interface Variant {
  name: string;
  schema: SchemaObject | ReferenceObject;
}

/** What a body can be: itself, or each member of a union under the name that tells it from the others. */
function variantsOf(schema: SchemaObject | ReferenceObject, schemas: Schemas): Variant[] {
  const { oneOf, discriminator } = resolve(schema, schemas);
  if (discriminator?.mapping) {
    return Object.entries(discriminator.mapping).map(([name, $ref]) => ({ name, schema: { $ref } }));
  }
  if (oneOf) return oneOf.flatMap((member) => variantsOf(member, schemas));
  return [{ name: '$ref' in schema ? nameOf(schema.$ref) : 'example', schema }];
}

/** Every value that cannot be guessed from its type has an example of its own; a document with "string" helps nobody. */
function sampleOf(schema: SchemaObject | ReferenceObject, schemas: Schemas): unknown {
  const { enum: allowed, allOf, type, format, properties, items, description, ...rest } = resolve(schema, schemas);
  if (rest.example !== undefined) return rest.example as unknown;
  if (allowed) return allowed[0];
  if (allOf?.[0]) return sampleOf(allOf[0], schemas);
  const types = [type].flat();
  if (types.includes('null')) return null;
  if (types.includes('boolean')) return true;
  if (types.includes('array') && items) return [sampleOf(items, schemas)];
  if (properties) {
    return Object.fromEntries(Object.entries(properties).map(([name, inner]) => [name, sampleOf(inner, schemas)]));
  }
  const sample = FORMATS[format ?? ''];
  if (sample === undefined) throw new Error(`Give an example to the property described as "${description}"`);
  return sample;
}

function resolve(schema: SchemaObject | ReferenceObject, schemas: Schemas): SchemaObject {
  if (!('$ref' in schema)) return schema;
  const target = schemas[schema.$ref.slice(SCHEMAS.length)];
  if (!target) throw new Error(`The document has no ${schema.$ref}; name the class in @ApiExtraModels`);
  return resolve(target, schemas);
}

/** `#/components/schemas/ConfirmedDeviceDto` → `confirmed_device` */
function nameOf(reference: string): string {
  const name = reference.slice(SCHEMAS.length).replace(/Dto$/, '');
  return name.replace(/(?<=[a-z])(?=[A-Z])/g, '_').toLowerCase();
}
