/* SPDX-License-Identifier: MIT */
/* elf_check: see elf_check.h. Layouts: elf(5), System V ABI chapter 5. */
#include "plugin/elf_check.h"

#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <link.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plugin/plugin_refusal.h"

/* The header of the object that this code is in, put there by the linker: what fits it fits this process. */
extern const ElfW(Ehdr) own_header __asm__("__ehdr_start") __attribute__((visibility("hidden")));

struct elf_file {
    int descriptor;
    const char *path;
    uint64_t size;
    connpool_error *error;
};

static const char *machine_name(unsigned machine)
{
    switch (machine) {
    case EM_386:
        return "Intel 80386";
    case EM_ARM:
        return "ARM";
    case EM_X86_64:
        return "x86-64";
    case EM_AARCH64:
        return "AArch64";
    case EM_RISCV:
        return "RISC-V";
    default:
        return "another";
    }
}

static const char *class_name(unsigned class)
{
    return class == ELFCLASS32 ? "32-bit" : class == ELFCLASS64 ? "64-bit" : "invalid";
}

static bool is_within(const struct elf_file *file, uint64_t offset, uint64_t length)
{
    return length <= file->size && offset <= file->size - length;
}

static bool check_extent(const struct elf_file *file, const char *part, uint64_t offset, uint64_t length)
{
    if (is_within(file, offset, length)) {
        return true;
    }
    return cp_plugin_refuse(file->error, file->path, 0,
                            "truncated: %s expected %" PRIu64 " bytes at offset %" PRIu64 ", found a file of %" PRIu64,
                            part, length, offset, file->size);
}

static bool read_part(const struct elf_file *file, const char *part, void *buffer, size_t length, uint64_t offset)
{
    if (!check_extent(file, part, offset, length)) {
        return false;
    }
    ssize_t count;
    do {
        count = pread(file->descriptor, buffer, length, (off_t)offset);
    } while (count == -1 && errno == EINTR);
    if (count == -1) {
        return cp_plugin_refuse(file->error, file->path, errno, "cannot read %s", part);
    }
    if ((size_t)count != length) {
        return cp_plugin_refuse(file->error, file->path, 0, "%s: expected %zu bytes, found %zd", part, length, count);
    }
    return true;
}

static bool check_magic(const struct elf_file *file)
{
    unsigned char magic[SELFMAG];
    if (file->size == 0) {
        return cp_plugin_refuse(file->error, file->path, 0, "expected a shared object, found an empty file");
    }
    if (file->size < sizeof(ElfW(Ehdr))) {
        return cp_plugin_refuse(file->error, file->path, 0,
                                "expected a shared object, found a file of %" PRIu64 " bytes", file->size);
    }
    if (!read_part(file, "ELF magic", magic, sizeof(magic), 0)) {
        return false;
    }
    if (memcmp(magic, ELFMAG, SELFMAG) != 0) {
        return cp_plugin_refuse(file->error, file->path, 0,
                                "not an ELF file: expected 7f 45 4c 46, found %02x %02x %02x %02x", magic[0], magic[1],
                                magic[2], magic[3]);
    }
    return true;
}

static bool check_header(const struct elf_file *file, const ElfW(Ehdr) * header)
{
    const ElfW(Ehdr) *own = &own_header;
    if (header->e_ident[EI_CLASS] != own->e_ident[EI_CLASS]) {
        return cp_plugin_refuse(file->error, file->path, 0, "ELF class: expected %s, found %s",
                                class_name(own->e_ident[EI_CLASS]), class_name(header->e_ident[EI_CLASS]));
    }
    if (header->e_ident[EI_DATA] != own->e_ident[EI_DATA]) {
        return cp_plugin_refuse(file->error, file->path, 0, "ELF byte order: expected %u, found %u",
                                own->e_ident[EI_DATA], header->e_ident[EI_DATA]);
    }
    if (header->e_machine != own->e_machine) {
        return cp_plugin_refuse(file->error, file->path, 0, "ELF machine: expected %u (%s), found %u (%s)",
                                own->e_machine, machine_name(own->e_machine), header->e_machine,
                                machine_name(header->e_machine));
    }
    if (header->e_type != ET_DYN) {
        return cp_plugin_refuse(file->error, file->path, 0, "ELF type: expected %d (shared object), found %u", ET_DYN,
                                header->e_type);
    }
    if (header->e_phentsize != sizeof(ElfW(Phdr)) || header->e_phnum == 0 || header->e_phnum == PN_XNUM) {
        return cp_plugin_refuse(file->error, file->path, 0,
                                "program headers: expected entries of %zu bytes, found %u of %u bytes",
                                sizeof(ElfW(Phdr)), header->e_phnum, header->e_phentsize);
    }
    return true;
}

/* The section headers are no business of dlopen, but linkers write them last: where they are cut, the file is. */
static bool check_tables(const struct elf_file *file, const ElfW(Ehdr) * header)
{
    return check_extent(file, "program headers", header->e_phoff, (uint64_t)header->e_phnum * header->e_phentsize) &&
           (header->e_shoff == 0 ||
            check_extent(file, "section headers", header->e_shoff, (uint64_t)header->e_shnum * header->e_shentsize));
}

static bool read_segment(const struct elf_file *file, const ElfW(Ehdr) * header, unsigned index, ElfW(Phdr) * segment)
{
    return read_part(file, "program headers", segment, sizeof(*segment),
                     header->e_phoff + (uint64_t)index * sizeof(*segment));
}

/* end: where the segments before it end in memory. They must ascend, for the loader reserves from the first to the last
 * and maps the others into that; and address and offset must agree within a page, else the last page that is mapped
 * could begin behind the end of the file. */
static bool check_load_segment(const struct elf_file *file, const ElfW(Phdr) * segment, uint64_t *end)
{
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    if (!check_extent(file, "a load segment", segment->p_offset, segment->p_filesz)) {
        return false;
    }
    if (segment->p_filesz > segment->p_memsz || segment->p_vaddr < *end ||
        segment->p_memsz > UINT64_MAX - segment->p_vaddr) {
        return cp_plugin_refuse(
            file->error, file->path, 0,
            "load segment: expected an address from 0x%" PRIx64 " on and at most its memory size in "
            "the file, found address 0x%" PRIx64 ", sizes %" PRIu64 " and %" PRIu64,
            *end, (uint64_t)segment->p_vaddr, (uint64_t)segment->p_filesz, (uint64_t)segment->p_memsz);
    }
    if ((segment->p_vaddr - segment->p_offset) % page != 0) {
        return cp_plugin_refuse(file->error, file->path, 0,
                                "load segment: expected address and offset equal within a page, found 0x%" PRIx64
                                " and 0x%" PRIx64,
                                (uint64_t)segment->p_vaddr, (uint64_t)segment->p_offset);
    }
    *end = segment->p_vaddr + segment->p_memsz;
    return true;
}

static bool holds_dynamic(const ElfW(Phdr) * load, const ElfW(Phdr) * dynamic)
{
    return load->p_type == PT_LOAD && dynamic->p_offset >= load->p_offset && dynamic->p_filesz <= load->p_filesz &&
           dynamic->p_offset - load->p_offset <= load->p_filesz - dynamic->p_filesz &&
           dynamic->p_vaddr - load->p_vaddr == dynamic->p_offset - load->p_offset;
}

static bool check_dynamic_entries(const struct elf_file *file, const ElfW(Phdr) * dynamic)
{
    ElfW(Dyn) entry;
    for (uint64_t at = 0; at + sizeof(entry) <= dynamic->p_filesz; at += sizeof(entry)) {
        if (!read_part(file, "dynamic section", &entry, sizeof(entry), dynamic->p_offset + at)) {
            return false;
        }
        if (entry.d_tag == DT_NULL) {
            return true;
        }
        if (entry.d_tag == DT_TEXTREL || (entry.d_tag == DT_FLAGS && (entry.d_un.d_val & DF_TEXTREL) != 0)) {
            return cp_plugin_refuse(
                file->error, file->path, 0,
                "text relocations: expected none, found some (compile with -fPIC, link with -z text)");
        }
    }
    return cp_plugin_refuse(file->error, file->path, 0, "dynamic section: expected an end mark, found none");
}

static bool check_dynamic(const struct elf_file *file, const ElfW(Ehdr) * header, const ElfW(Phdr) * dynamic)
{
    ElfW(Phdr) segment;
    if (dynamic->p_type != PT_DYNAMIC) {
        return cp_plugin_refuse(file->error, file->path, 0, "expected a dynamic section, found none");
    }
    for (unsigned i = 0; i < header->e_phnum; i++) {
        if (!read_segment(file, header, i, &segment)) {
            return false;
        }
        if (holds_dynamic(&segment, dynamic)) {
            return check_dynamic_entries(file, dynamic);
        }
    }
    return cp_plugin_refuse(file->error, file->path, 0,
                            "dynamic section: expected inside a load segment, found outside");
}

/* Without a PT_GNU_STACK the loader takes the machine's old default, which may be executable. */
static bool check_stack(const struct elf_file *file, const ElfW(Phdr) * stack)
{
    if (stack->p_type == PT_GNU_STACK && (stack->p_flags & PF_X) == 0) {
        return true;
    }
    return cp_plugin_refuse(file->error, file->path, 0,
                            "stack: expected not executable, found %s (link with -z noexecstack)",
                            stack->p_type == PT_GNU_STACK ? "executable" : "no PT_GNU_STACK header");
}

static bool check_segments(const struct elf_file *file, const ElfW(Ehdr) * header)
{
    ElfW(Phdr) segment;
    ElfW(Phdr) dynamic = {0};
    ElfW(Phdr) stack = {0};
    uint64_t end = 0;
    for (unsigned i = 0; i < header->e_phnum; i++) {
        if (!read_segment(file, header, i, &segment)) {
            return false;
        }
        if (segment.p_type == PT_LOAD && !check_load_segment(file, &segment, &end)) {
            return false;
        }
        if (segment.p_type == PT_DYNAMIC) {
            dynamic = segment;
        }
        if (segment.p_type == PT_GNU_STACK) {
            stack = segment;
        }
    }
    return check_dynamic(file, header, &dynamic) && check_stack(file, &stack);
}

bool cp_elf_check(int descriptor, const char *path, connpool_error *error)
{
    struct stat status;
    ElfW(Ehdr) header;
    if (fstat(descriptor, &status) == -1) {
        return cp_plugin_refuse(error, path, errno, "cannot read the file's size");
    }
    struct elf_file file = {.descriptor = descriptor, .path = path, .size = (uint64_t)status.st_size, .error = error};
    return check_magic(&file) && read_part(&file, "ELF header", &header, sizeof(header), 0) &&
           check_header(&file, &header) && check_tables(&file, &header) && check_segments(&file, &header);
}
