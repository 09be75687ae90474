#include "report_cases.h"

#include <string.h>

#include "pure/utf8.h"
#include "report_words.h"
#include "terminal/say.h"

/* What XML has a meaning for is escaped; what it does not allow is replaced. */
static void xml_print(const char *text, FILE *out) {
    const size_t length = strlen(text);
    for (size_t at = 0; at < length;) {
        uint32_t code;
        const size_t size = utf8_next(text + at, length - at, &code);
        if (code == UTF8_INVALID || utf8_is_control(code) || code == 0xFFFE || code == 0xFFFF)
            fputs("\xEF\xBF\xBD", out);
        else if (code == '<' || code == '>' || code == '&' || code == '"')
            fprintf(out, "&#%u;", (unsigned)code);
        else
            fwrite(text + at, 1, size, out);
        at += size;
    }
}

static void case_name(const struct finding *finding, char text[CONNECTION_TEXT_SIZE + 64]) {
    char connection[CONNECTION_TEXT_SIZE];
    connection_text(finding->endpoint, connection);
    snprintf(text, CONNECTION_TEXT_SIZE + 64, "%s %s", finding_name(finding->kind), connection);
}

static void junit_case(const struct finding *finding, FILE *out) {
    char name[CONNECTION_TEXT_SIZE + 64], comm[COMM_SIZE + 1], sentence[SENTENCE_SIZE];
    case_name(finding, name);
    snprintf(comm, sizeof comm, "%.*s", COMM_SIZE, finding->comm);
    fputs("  <testcase classname=\"closetrace.", out);
    xml_print(comm, out);
    fputs("\" name=\"", out);
    xml_print(name, out);
    fputs("\">\n", out);
    const bool failed = finding->certainty == CERTAIN;
    fprintf(out, failed ? "    <failure type=\"%s\" message=\"" : "    <system-out>", finding_name(finding->kind));
    if (failed) {
        xml_print(finding->evidence_count ? finding->evidence[0] : name, out);
        fputs("\">", out);
    } else
        fprintf(out, "%s: ", certainty_name(finding->certainty));
    for (unsigned i = 0; i < finding->evidence_count; i++) {
        finding_sentence(finding, i, sentence);
        xml_print(sentence, out);
        putc('\n', out);
    }
    fputs(failed ? "</failure>\n  </testcase>\n" : "</system-out>\n  </testcase>\n", out);
}

void report_junit(const struct analysis *analysis, FILE *out) {
    const struct totals totals = analysis_totals(analysis);
    const uint64_t cases = totals.findings + totals.possible + totals.notes;
    fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n", out);
    fprintf(out, "<testsuite name=\"closetrace\" tests=\"%llu\" failures=\"%llu\" errors=\"0\" skipped=\"0\">\n",
            (unsigned long long)(cases ? cases : 1), (unsigned long long)totals.findings);
    if (cases == 0)
        fputs("  <testcase classname=\"closetrace\" name=\"no findings\"/>\n", out);
    for (const struct finding *finding = analysis_findings(analysis); finding; finding = finding->next)
        junit_case(finding, out);
    fputs("</testsuite>\n", out);
}

/* A # in a name would begin a directive. */
static void tap_text(const char *text, FILE *out) {
    char plain[1024];
    snprintf(plain, sizeof plain, "%s", text);
    for (char *at = plain; *at; at++)
        if (*at == '#')
            *at = '_';
    print_safely(out, plain, 0);
}

void report_tap(const struct analysis *analysis, FILE *out) {
    const struct totals totals = analysis_totals(analysis);
    const uint64_t cases = totals.findings + totals.possible + totals.notes;
    uint64_t number = 0;
    fprintf(out, "TAP version 13\n1..%llu\n", (unsigned long long)(cases ? cases : 1));
    if (cases == 0)
        fputs("ok 1 - no findings\n", out);
    for (const struct finding *finding = analysis_findings(analysis); finding; finding = finding->next) {
        char name[CONNECTION_TEXT_SIZE + 64], sentence[SENTENCE_SIZE];
        case_name(finding, name);
        fprintf(out, "%s %llu - ", finding->certainty == CERTAIN ? "not ok" : "ok", (unsigned long long)++number);
        tap_text(finding->certainty == POSSIBLE ? "possible " : finding->certainty == NOTE ? "note " : "", out);
        tap_text(name, out);
        putc('\n', out);
        for (unsigned i = 0; i < finding->evidence_count; i++) {
            finding_sentence(finding, i, sentence);
            fputs("# ", out);
            print_safely(out, sentence, 0);
            putc('\n', out);
        }
    }
}
