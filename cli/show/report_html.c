#include "report_html.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "advice.h"
#include "clock_text.h"
#include "exit_status.h"
#include "html_page.h"
#include "ladder_svg.h"
#include "markup.h"
#include "pure/render.h"
#include "report_kinds.h"
#include "report_table.h"
#include "report_words.h"
#include "terminal/say.h"

/* So many of each a browser shows with ease; what is more is counted. */
enum { DRAWN_MAX = 100, FINDINGS_MAX = 500, ROWS_MAX = 10000 };

/* A connection that a finding names. */
struct drawn {
    const struct endpoint *ends[2]; /* the second may be NULL */
    unsigned finding;               /* the first that names it, from 1 */
    struct rungs rungs;
};

struct html {
    const struct analysis *analysis;
    struct drawn drawn[DRAWN_MAX];
    unsigned drawn_count;
};

static void *taken(void *memory) {
    if (memory)
        return memory;
    say("closetrace: out of memory");
    exit(EXIT_FAILED);
}

static struct drawn *drawn_of(struct html *html, const struct endpoint *endpoint) {
    for (unsigned i = 0; i < html->drawn_count; i++)
        if (html->drawn[i].ends[0] == endpoint || html->drawn[i].ends[1] == endpoint)
            return &html->drawn[i];
    return NULL;
}

/* Alike ones are told by the first. */
static bool is_shown(const struct finding *finding) {
    return finding->alike > 0;
}

/* In the order in which they are shown: what is certain first. */
static void each_finding(struct html *html,
                         void (*tell)(struct html *html, const struct finding *finding, unsigned number, FILE *out),
                         FILE *out) {
    unsigned number = 0;
    for (enum certainty rank = CERTAIN; rank <= NOTE; rank++)
        for (const struct finding *finding = analysis_findings(html->analysis); finding; finding = finding->next)
            if (finding->certainty == rank && is_shown(finding) && number < FINDINGS_MAX)
                tell(html, finding, ++number, out);
}

static void choose(struct html *html, const struct finding *finding, unsigned number, FILE *out) {
    (void)out;
    if (drawn_of(html, finding->endpoint) || html->drawn_count == DRAWN_MAX ||
        !endpoint_is_connection(finding->endpoint))
        return;
    html->drawn[html->drawn_count++] =
        (struct drawn){.ends = {finding->endpoint, finding->endpoint->peer}, .finding = number};
}

struct html *html_new(const struct analysis *analysis) {
    struct html *html = taken(calloc(1, sizeof *html));
    html->analysis = analysis;
    each_finding(html, choose, NULL);
    return html;
}

void html_free(struct html *html) {
    for (unsigned i = 0; i < html->drawn_count; i++)
        free(html->drawn[i].rungs.list);
    free(html);
}

static bool is_of(const struct endpoint *endpoint, const struct event *event) {
    return endpoint && endpoint->cookie == event->cookie &&
           (event->local.port == endpoint->local.port || address_is_unspecified(&event->local));
}

void html_event(struct html *html, const struct event *event, unsigned source) {
    if (!(event->has & HAS_SOCKET))
        return;
    for (unsigned i = 0; i < html->drawn_count; i++)
        if (is_of(html->drawn[i].ends[0], event) || is_of(html->drawn[i].ends[1], event))
            rungs_add(&html->drawn[i].rungs, event, source);
}

static void card(FILE *out, const char *words, uint64_t count, const char *class) {
    fprintf(out, "<div%s><dt>%s</dt><dd>%llu</dd></div>\n", class, words, (unsigned long long)count);
}

static void day_text(uint64_t time_us, char text[64]) {
    const time_t second = (time_t)(time_us / 1000000);
    struct tm local;
    if (!localtime_r(&second, &local) || strftime(text, 64, "%Y-%m-%d %H:%M:%S %z", &local) == 0)
        snprintf(text, 64, "?");
}

static void header(const struct html *html, const char *const *names, unsigned count, FILE *out) {
    const struct totals totals = analysis_totals(html->analysis);
    char first[64], last[64];
    day_text(totals.first_us, first);
    day_text(totals.last_us, last);
    fputs("<body>\n<a class=\"skip\" href=\"#findings\">Skip to what is wrong</a>\n<header>\n<h1>closetrace "
          "report</h1>\n<p class=\"muted\">",
          out);
    for (unsigned i = 0; i < count; i++) {
        fputs(i > 0 ? ", <code>" : "<code>", out);
        markup_print(out, names[i]);
        fputs("</code>", out);
    }
    if (totals.events > 0)
        fprintf(out, ", %s to %s", first, last);
    fputs("; made by closetrace " CLOSETRACE_VERSION ".</p>\n</header>\n<main>\n", out);
}

static void summary(const struct html *html, FILE *out) {
    const struct totals totals = analysis_totals(html->analysis);
    fputs("<section aria-labelledby=\"summary\">\n<h2 id=\"summary\">Summary</h2>\n<dl class=\"cards\">\n", out);
    card(out, "findings", totals.findings, totals.findings ? " class=\"bad\"" : "");
    card(out, "possible", totals.possible, "");
    card(out, "notes", totals.notes, "");
    card(out, "connections", totals.connections, "");
    card(out, "FINs", totals.fins, "");
    card(out, "RSTs", totals.rsts, "");
    if (totals.refused + totals.timed_out + totals.failed > 0)
        card(out, "connects failed", totals.refused + totals.timed_out + totals.failed, "");
    card(out, "events", totals.events, "");
    if (totals.lost > 0)
        card(out, "events lost", totals.lost, " class=\"bad\"");
    fputs("</dl>\n", out);
    for (const struct unseen *unseen = analysis_unseen(html->analysis); unseen; unseen = unseen->next) {
        char comm[COMM_SIZE + 1];
        snprintf(comm, sizeof comm, "%.*s", COMM_SIZE, unseen->comm);
        fputs("<p>Not seen: what <code>", out);
        markup_print(out, comm);
        fprintf(out, "</code>, process %d, did is not in the trace.</p>\n", unseen->pid);
    }
    fputs("</section>\n", out);
}

static const char *rank_word(const struct finding *finding) {
    return finding->certainty == CERTAIN ? "finding" : finding->certainty == POSSIBLE ? "possible" : "note";
}

static void more_alike(const struct finding *finding, FILE *out) {
    char last[CLOCK_TEXT_SIZE];
    if (finding->alike < 2)
        return;
    clock_text(finding->last_us, last);
    fprintf(out, "<p><strong>%llu more like it</strong>, the last at %s.</p>\n", (unsigned long long)finding->alike - 1,
            last);
}

static void ladder(struct html *html, const struct finding *finding, unsigned number, const char *const *sources,
                   FILE *out) {
    struct drawn *drawn = drawn_of(html, finding->endpoint);
    char id[32];
    if (!drawn || drawn->rungs.count == 0)
        return;
    if (drawn->finding != number) {
        fprintf(out, "<p><a href=\"#finding-%u\">The connection is drawn above.</a></p>\n", drawn->finding);
        return;
    }
    snprintf(id, sizeof id, "ladder-%u", number);
    rungs_sort(&drawn->rungs);
    fputs("<details class=\"ladder\" open><summary>The connection, drawn</summary>\n", out);
    ladder_svg(out, drawn->rungs.list, drawn->rungs.count, id, sources);
    fputs("</details>\n", out);
}

static const char *const *ladder_sources; /* for each_finding(), which hands on no more */

static void article(struct html *html, const struct finding *finding, unsigned number, FILE *out) {
    char connection[CONNECTION_TEXT_SIZE], sentence[SENTENCE_SIZE];
    connection_text(finding->endpoint, connection);
    fprintf(
        out,
        "<article id=\"finding-%u\" class=\"%s\">\n<h3><span class=\"rank\">%s</span> %s <span class=\"where mono\">",
        number, rank_word(finding), rank_word(finding), finding_name(finding->kind));
    markup_print(out, connection);
    fputs("</span></h3>\n<ul>\n", out);
    for (unsigned i = 0; i < finding->evidence_count; i++) {
        finding_sentence(finding, i, sentence);
        fputs("<li>", out);
        markup_print(out, sentence);
        fputs("</li>\n", out);
    }
    fputs("</ul>\n", out);
    more_alike(finding, out);
    fprintf(out,
            "<p class=\"todo\"><strong>%s:</strong> %s <span class=\"muted\">More: docs/findings/%s.md, "
            "closetrace(7).</span></p>\n",
            finding->certainty == NOTE ? "If it matters" : "What to do", finding_advice(finding->kind),
            finding_name(finding->kind));
    ladder(html, finding, number, ladder_sources, out);
    fputs("</article>\n", out);
}

static void findings(struct html *html, FILE *out) {
    uint64_t shown = 0;
    for (const struct finding *finding = analysis_findings(html->analysis); finding; finding = finding->next)
        shown += is_shown(finding);
    const struct totals totals = analysis_totals(html->analysis);
    const bool is_wrong = totals.findings + totals.possible > 0 || shown == 0;
    fprintf(out, "<section aria-labelledby=\"findings\">\n<h2 id=\"findings\">%s</h2>\n",
            is_wrong ? "What is wrong" : "Worth knowing");
    if (shown == 0)
        fputs("<p>Nothing was found wrong.</p>\n", out);
    if (html->drawn_count > 0)
        fputs("<p class=\"muted\">In the ladders time runs down the page. The line of each end is solid while the "
              "connection is open there, dashed while it is half closed, dotted when it is over; dots beside it are "
              "calls, "
              "a line of dots for each process.</p>\n",
              out);
    each_finding(html, article, out);
    if (shown > FINDINGS_MAX)
        fprintf(out, "<p>And %llu more: closetrace report has them.</p>\n", (unsigned long long)shown - FINDINGS_MAX);
    fputs("</section>\n", out);
}

/* The connections in the order of their kinds. */
struct member {
    const struct endpoint *endpoint;
    size_t kind, order;
};

static int by_kind(const void *a, const void *b) {
    const struct member *one = a, *other = b;
    if (one->kind != other->kind)
        return one->kind < other->kind ? -1 : 1;
    return one->order < other->order ? -1 : one->order > other->order;
}

static struct member *members_of(const struct endpoint *first, const struct kinds *kinds, size_t *count) {
    *count = 0;
    for (size_t i = 0; i < kinds->count; i++)
        *count += kinds->kinds[i].count;
    struct member *members = taken(calloc(*count + 1, sizeof *members));
    size_t at = 0;
    for (const struct endpoint *endpoint = first; endpoint; endpoint = endpoint->next)
        if (connection_has_row(endpoint)) {
            members[at] = (struct member){endpoint, kinds_number(kinds, endpoint), at};
            at++;
        }
    qsort(members, *count, sizeof *members, by_kind);
    return members;
}

static const char *cell_class(unsigned column) {
    return column == LIFE || column == TO_SERVER || column == TO_CLIENT ? " class=\"n\"" : "";
}

static void table_row(const struct endpoint *endpoint, FILE *out) {
    struct row row;
    row_fill(&row, endpoint, false);
    fputs("<tr>", out);
    for (unsigned i = 0; i < COLUMNS; i++) {
        fprintf(out, "<td%s>", cell_class(i));
        markup_print(out, row.cells[i]);
        fputs("</td>", out);
    }
    fputs("</tr>\n", out);
}

static void kind_head(const struct kind *kind, bool open, FILE *out) {
    const char *const words[] = {kind->who, kind->ends[0], kind->ends[1], kind->first};
    static const char *const before[] = {"", "; client's end: ", "; server's end: ", "; closed first: "};
    fprintf(out, "<details class=\"kind\"%s><summary class=\"mono\"><span class=\"count\">%llu &#215;</span> ",
            open ? " open" : "", (unsigned long long)kind->count);
    for (unsigned i = 0; i < 4; i++) {
        fputs(before[i], out);
        markup_print(out, words[i]);
    }
    fputs("</summary>\n<div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"Connections of this kind\">\n"
          "<table>\n<thead><tr>",
          out);
    for (unsigned i = 0; i < COLUMNS; i++)
        fprintf(out, "<th scope=\"col\"%s>%s</th>", cell_class(i), row_heads.cells[i]);
    fputs("</tr></thead>\n<tbody>\n", out);
}

/* Of each kind as many rows as leave some for the others. */
static void kinds_of_connections(const struct kinds *kinds, const struct member *members, FILE *out) {
    enum { FEW = 30 };
    const size_t most = kinds->count < ROWS_MAX / FEW ? ROWS_MAX - kinds->count * FEW : 0;
    size_t spent = 0;
    for (size_t i = 0; i < kinds->count; i++) {
        const size_t count = kinds->kinds[i].count, left = spent < most ? most - spent : 0;
        const size_t allowed = left > FEW ? left : FEW, shown = count < allowed ? count : allowed;
        kind_head(&kinds->kinds[i], kinds->count == 1 && count <= FEW, out);
        for (size_t k = 0; k < shown; k++)
            table_row(members[k].endpoint, out);
        fputs("</tbody>\n</table>\n</div>\n", out);
        if (shown < count)
            fprintf(out, "<p class=\"muted\">and %zu more like them: closetrace report --all has each.</p>\n",
                    count - shown);
        fputs("</details>\n", out);
        members += count;
        spent += shown;
    }
}

static void connections(const struct html *html, FILE *out) {
    enum { KINDS_MAX = 300 };
    const struct endpoint *first = analysis_endpoints(html->analysis);
    struct kinds kinds = kinds_of(first);
    size_t count;
    struct member *members = members_of(first, &kinds, &count);
    const size_t all = kinds.count;
    fputs("<section aria-labelledby=\"connections\">\n<h2 id=\"connections\">Connections</h2>\n", out);
    fprintf(out,
            "<p>%zu connections and failed connects, of %zu kind%s: alike are those of the same programs and server "
            "that ended alike. (FIN), (RST): seen by the other end alone; ?: not known; +: not over.</p>\n",
            count, all, all == 1 ? "" : "s");
    if (kinds.count > KINDS_MAX)
        kinds.count = KINDS_MAX;
    kinds_of_connections(&kinds, members, out);
    if (all > KINDS_MAX)
        fprintf(out, "<p>And %zu more kinds: closetrace report has them.</p>\n", all - KINDS_MAX);
    fputs("</section>\n", out);
    free(members);
    kinds_free(&kinds);
}

void html_print(struct html *html, const char *const *names, unsigned count, FILE *out) {
    html_head(out);
    header(html, names, count, out);
    summary(html, out);
    fputs("<div id=\"tools\" class=\"tools\" hidden></div>\n", out);
    ladder_sources = count > 1 ? names : NULL;
    findings(html, out);
    connections(html, out);
    fputs("</main>\n", out);
    html_foot(out);
}
