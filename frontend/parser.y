/* parser.y: the grammar of `.tile` files. Actions build nodes and look nothing up; names.c and lowering do.
 *
 * No conflicts, and `%expect 0` stays: a construct that needs one is redesigned. Errors resynchronise at the end of
 * a line or of a block, so several are reported a run. Depth is bounded by the lexer (brackets, blocks) and by node
 * depth (chains).
 */
%code requires {
#include "frontend/parse.h"
}
%code {
#define YYMAXDEPTH 1500
#define YYINITDEPTH 1500 /* never grown: leaving by longjmp loses nothing */
#define YYLLOC_DEFAULT(cur, rhs, n)                                                                                    \
    ((cur) = (n) ? (span){YYRHSLOC(rhs, 1).file, YYRHSLOC(rhs, 1).beg, YYRHSLOC(rhs, n).end}                           \
                 : (span){YYRHSLOC(rhs, 0).file, YYRHSLOC(rhs, 0).end, YYRHSLOC(rhs, 0).end})

static void tile_error(span *at, parse_ctx *c, const char *text);
}

%define api.pure full
%define api.prefix {tile_}
%define api.location.type {span}
%define api.token.prefix {T_}
%define parse.error custom
%define lr.default-reduction accepting
%locations
%expect 0
%param {parse_ctx *c}

%union {
    str s;
    const_num num;
    fe_op op;
    ast_expr *e;
    expr_list es;
    ast_arg *arg;
    arg_list args;
    ast_stmt *st;
    stmt_list sts;
    ast_param *param;
    param_list params;
    generic_list generics;
    ast_generic *generic;
    ast_decorator *decos;
    ast_type type;
    word_list words;
    ast_fn *fn;
}

%token END 0 "end of file"
%token NEWLINE "end of line" INDENT "indentation" DEDENT "end of block"
%token <s> NAME "name" STRING "string"
%token <num> NUMBER "number"
%token <op> AUGMENTED "augmented assignment"
%token KERNEL "'kernel'" FN "'fn'" CONST "'const'" IMPORT "'import'" IF "'if'" ELIF "'elif'" ELSE "'else'" FOR "'for'"
%token WHILE "'while'" IN "'in'" BREAK "'break'" CONTINUE "'continue'" RETURN "'return'" PASS "'pass'"
%token AND "'and'" OR "'or'"
%token NOT "'not'" IS "'is'" TRUE "'True'" FALSE "'False'" NONE "'None'" GRID "'grid'"
%token POW "'**'" FLOORDIV "'//'" SHL "'<<'" SHR "'>>'" EQ "'=='" NE "'!='" LE "'<='" GE "'>='"
%token ARROW "'->'" WALRUS "':='"
%token BAD "malformed token"

%type <e> expr ternary or_test and_test not_test comparison bit_or bit_xor bit_and shift sum
%type <e> term factor power postfix atom item slice_end tuple_or_one
%type <es> expr_list items list_items grid dims
%type <arg> arg
%type <args> args arg_list config
%type <st> stmt simple compound small if_tail
%type <sts> block stmts smalls
%type <param> param
%type <params> params param_list
%type <generics> generics generic_list
%type <generic> generic
%type <decos> decorators decorator
%type <type> type
%type <words> words
%type <op> cmp_op
%type <fn> header

%%

file: %empty | file decl ;

decl: NEWLINE
    | IMPORT STRING NEWLINE
      { ast_import *i = ARENA_NEW(c->a, ast_import); i->at = @$; i->path = $2; i->path_at = @2;
        if (c->out->last_import) c->out->last_import->next = i; else c->out->imports = i;
        c->out->last_import = i; }
    | CONST NAME '=' expr NEWLINE
      { ast_const *k = ARENA_NEW(c->a, ast_const);
        k->at = span_join(@1, @4); k->name = $2; k->name_at = @2; k->value = $4;
        if (c->out->last_const) c->out->last_const->next = k; else c->out->consts = k;
        c->out->last_const = k; }
    | decorators header block
      { c->after_error = false; $2->decorators = $1; $2->body = $3.first;
        if (c->out->last_fn) c->out->last_fn->next = $2; else c->out->fns = $2;
        c->out->last_fn = $2; }
    | error NEWLINE { c->after_error = true; yyerrok; }
    | error INDENT stmts DEDENT { yyerrok; }
    | INDENT stray stmts DEDENT
    ;

decorators: %empty { $$ = NULL; }
    | decorators decorator { ast_decorator **p = &$1; while (*p) p = &(*p)->next; *p = $2; $$ = $1; }
    ;
decorator: '@' NAME NEWLINE { $$ = ARENA_NEW(c->a, ast_decorator); $$->at = span_join(@1, @2); $$->name = $2; }
    | '@' NAME '(' args ')' NEWLINE
      { $$ = ARENA_NEW(c->a, ast_decorator);
        $$->at = span_join(@1, @5); $$->name = $2; $$->args = $4.first; $$->nargs = $4.n; }
    ;

header: KERNEL NAME generics '(' params ')' grid
      { $$ = decl_fn(c, true, $2, @2, $3, $5, @$); $$->grid = $7.first; $$->ngrid = $7.n; }
    | FN NAME '(' params ')' { $$ = decl_fn(c, false, $2, @2, (generic_list){0}, $4, @$); }
    ;
grid: %empty { $$ = (expr_list){0}; }
    | GRID '(' expr_list ')' { $$ = $3; if ($3.n > 3) fe_report(c->d, D_GRID_AXES, @3); }
    ;
generics: %empty { $$ = (generic_list){0}; } | '[' generic_list ']' { $$ = $2; } ;
generic_list: generic { $$ = (generic_list){$1, $1, 1}; }
    | generic_list ',' generic { $1.last->next = $3; $$ = (generic_list){$1.first, $3, $1.n + 1}; }
    ;
generic: NAME ':' '(' list_items ')'
      { $$ = ARENA_NEW(c->a, ast_generic); $$->at = @1; $$->name = $1; $$->dtypes = $4.first; $$->ndtypes = $4.n; }
    | NAME ':' NAME
      { $$ = ARENA_NEW(c->a, ast_generic);
        $$->at = @1; $$->name = $1; $$->dtypes = node_name(c, $3, @3); $$->ndtypes = 1; }
    ;

params: %empty { $$ = (param_list){0}; } | param_list | param_list ',' ;
param_list: param { $$ = (param_list){$1, $1, 1}; }
    | param_list ',' param { $1.last->next = $3; $$ = (param_list){$1.first, $3, $1.n + 1}; }
    ;
param: NAME { $$ = ARENA_NEW(c->a, ast_param); $$->at = @1; $$->name = $1; }
    | NAME '=' expr { $$ = ARENA_NEW(c->a, ast_param); $$->at = @1; $$->name = $1; $$->dflt = $3; }
    | NAME ':' type { $$ = ARENA_NEW(c->a, ast_param); $$->at = @1; $$->name = $1; $$->type = $3; }
    | NAME ':' type '=' expr
      { $$ = ARENA_NEW(c->a, ast_param); $$->at = @1; $$->name = $1; $$->type = $3; $$->dflt = $5; }
    | '*' NAME { $$ = ARENA_NEW(c->a, ast_param); $$->at = @2; $$->name = $2; $$->star = true; }
    ;

type: CONST { $$ = (ast_type){.kind = TY_CONST, .at = @1}; }
    | CONST FN { $$ = (ast_type){.kind = TY_CONST_FN, .at = @$}; }
    | '*' type { $$ = type_pointer(c, $2, @$); }
    | POW type { $$ = type_pointer(c, type_pointer(c, $2, @$), @$); }
    | words { type_of_words(c, $1, &$$, @1); }
    | words '?' { type_of_words(c, $1, &$$, @1); $$.optional = true; $$.at = @$; }
    | words dims { $$ = type_tensor(c, $1, @1, $2, @$); }
    | words dims '?' { $$ = type_tensor(c, $1, @1, $2, @$); $$.optional = true; }
    ;
words: NAME { $$ = (word_list){.word = {$1}, .at = {@1}, .n = 1}; }
    | words NAME { $$ = $1;
        if ($$.n < COUNTOF($$.word)) { $$.word[$$.n] = $2; $$.at[$$.n++] = @2; }
        else fe_report(c->d, D_TYPE_WORD, @2, STR_ARG($2)); }
    ;
dims: '[' expr_list ']' { $$ = $2; } ;

block: ':' NEWLINE INDENT stmts DEDENT { $$ = $4; }
    | ':' smalls NEWLINE { $$ = $2; }
    | ':' NEWLINE error { $$ = (stmt_list){0}; yyerrok; }
    ;
stmts: stmt { $$ = stmts_add((stmt_list){0}, $1); } | stmts stmt { $$ = stmts_add($1, $2); } ;
stmt: simple { $$ = $1; c->after_error = false; }
    | compound { $$ = $1; c->after_error = false; }
    | error NEWLINE { $$ = stmt_new(c, ST_ERROR, @$); c->after_error = true; yyerrok; }
    | error INDENT stmts DEDENT { $$ = stmt_new(c, ST_ERROR, @1); yyerrok; }
    | INDENT stray stmts DEDENT { $$ = stmt_new(c, ST_ERROR, @1); }
    ;
stray: %empty { if (!c->after_error) fe_report(c->d, D_STRAY_INDENT, @$); } ;
simple: smalls NEWLINE { $$ = $1.first; } ;
smalls: small { $$ = stmts_add((stmt_list){0}, $1); }
    | smalls ';' small { $$ = stmts_add($1, $3); }
    | smalls ';' { $$ = $1; } ;
small: tuple_or_one { $$ = stmt_new(c, ST_EXPR, @$); $$->value = $1; }
    | tuple_or_one '=' tuple_or_one { $$ = stmt_assign(c, $1, $3, false, FE_ADD, @$); }
    | tuple_or_one AUGMENTED tuple_or_one { $$ = stmt_assign(c, $1, $3, true, $2, @$); }
    | BREAK { $$ = stmt_new(c, ST_BREAK, @$); }
    | CONTINUE { $$ = stmt_new(c, ST_CONTINUE, @$); }
    | PASS { $$ = stmt_new(c, ST_PASS, @$); }
    | RETURN { $$ = stmt_new(c, ST_RETURN, @$); }
    | RETURN tuple_or_one { $$ = stmt_new(c, ST_RETURN, @$); $$->value = $2; }
    ;
compound: IF expr block if_tail
      { $$ = stmt_new(c, ST_IF, span_join(@1, @2)); $$->cond = $2; $$->body = $3.first; $$->orelse = $4; }
    | WHILE expr block { $$ = stmt_new(c, ST_WHILE, span_join(@1, @2)); $$->cond = $2; $$->body = $3.first; }
    | FOR tuple_or_one IN expr block { $$ = stmt_for(c, $2, $4, $5.first, span_join(@1, @4)); }
    ;
if_tail: %empty { $$ = NULL; }
    | ELSE block { $$ = $2.first; }
    | ELIF expr block if_tail
      { $$ = stmt_new(c, ST_IF, span_join(@1, @2)); $$->cond = $2; $$->body = $3.first; $$->orelse = $4; }
    ;

tuple_or_one: expr
    | expr ',' { $$ = node_seq(c, EX_TUPLE, (expr_list){$1, $1, 1}, @$); }
    | expr ',' expr_list { $1->next = $3.first; $$ = node_seq(c, EX_TUPLE, (expr_list){$1, $3.last, $3.n + 1}, @$); }
    ;
expr_list: list_items ;
list_items: expr { $$ = (expr_list){$1, $1, 1}; }
    | list_items ',' expr { $$ = list_add($1, $3); }
    | list_items ',' { $$ = $1; }
    ;

expr: ternary ;
ternary: or_test | or_test IF or_test ELSE ternary { $$ = node_cond(c, $1, $3, $5, @$); } ;
or_test: and_test | or_test OR and_test { $$ = node_two(c, EX_OR, $1, $3, @$); } ;
and_test: not_test | and_test AND not_test { $$ = node_two(c, EX_AND, $1, $3, @$); } ;
not_test: comparison | NOT not_test { $$ = node_unary(c, FE_NOT, $2, @$); } ;
comparison: bit_or
    | comparison cmp_op bit_or { $$ = node_compare(c, $1, $3, EX_BINARY, $2, false, @2); }
    | comparison IS bit_or { $$ = node_compare(c, $1, $3, EX_IS, FE_EQ, false, @2); }
    | comparison IS NOT bit_or { $$ = node_compare(c, $1, $4, EX_IS, FE_EQ, true, span_join(@2, @3)); }
    ;
cmp_op: EQ { $$ = FE_EQ; } | NE { $$ = FE_NE; } | LE { $$ = FE_LE; } | GE { $$ = FE_GE; }
    | '<' { $$ = FE_LT; } | '>' { $$ = FE_GT; } ;
bit_or: bit_xor | bit_or '|' bit_xor { $$ = node_binary(c, FE_OR, $1, $3, @2); } ;
bit_xor: bit_and | bit_xor '^' bit_and { $$ = node_binary(c, FE_XOR, $1, $3, @2); } ;
bit_and: shift | bit_and '&' shift { $$ = node_binary(c, FE_AND, $1, $3, @2); } ;
shift: sum | shift SHL sum { $$ = node_binary(c, FE_SHL, $1, $3, @2); }
    | shift SHR sum { $$ = node_binary(c, FE_SHR, $1, $3, @2); } ;
sum: term | sum '+' term { $$ = node_binary(c, FE_ADD, $1, $3, @2); }
    | sum '-' term { $$ = node_binary(c, FE_SUB, $1, $3, @2); } ;
term: factor
    | term '*' factor { $$ = node_binary(c, FE_MUL, $1, $3, @2); }
    | term '/' factor { $$ = node_binary(c, FE_DIV, $1, $3, @2); }
    | term FLOORDIV factor { $$ = node_binary(c, FE_FLOORDIV, $1, $3, @2); }
    | term '%' factor { $$ = node_binary(c, FE_MOD, $1, $3, @2); }
    ;
factor: power
    | '-' factor { $$ = node_unary(c, FE_NEG, $2, @$); }
    | '+' factor { $$ = node_unary(c, FE_POS, $2, @$); }
    | '~' factor { $$ = node_unary(c, FE_INVERT, $2, @$); }
    ;
power: postfix | postfix POW factor { $$ = node_two(c, EX_POW, $1, $3, @$); } ;
postfix: atom
    | postfix '.' NAME { $$ = node_attr(c, $1, $3, @3, @$); }
    | postfix '(' args ')' { $$ = node_call(c, $1, $3, @$); }
    | postfix '[' items ']' { $$ = node_index(c, $1, $3, @$); }
    ;
atom: NAME { $$ = node_name(c, $1, @1); }
    | NUMBER { $$ = node_new(c, EX_NUM, @1); $$->num = $1; }
    | STRING { $$ = node_new(c, EX_STR, @1); $$->s = $1; }
    | TRUE { $$ = node_new(c, EX_NUM, @1); $$->num = const_of_bool(true); }
    | FALSE { $$ = node_new(c, EX_NUM, @1); $$->num = const_of_bool(false); }
    | NONE { $$ = node_new(c, EX_NONE, @1); }
    | BAD { $$ = node_new(c, EX_ERROR, @1); }
    | '(' ')' { $$ = node_seq(c, EX_TUPLE, (expr_list){0}, @$); }
    | '(' expr ')' { $$ = $2; $$->at = @$; }
    | '(' expr ',' ')' { $$ = node_seq(c, EX_TUPLE, (expr_list){$2, $2, 1}, @$); }
    | '(' expr ',' list_items ')'
      { $2->next = $4.first; $$ = node_seq(c, EX_TUPLE, (expr_list){$2, $4.last, $4.n + 1}, @$); }
    | '(' config ')' { $$ = node_new(c, EX_CONFIG, @$); $$->args = $2.first; $$->nargs = $2.n; }
    | '(' config ',' ')' { $$ = node_new(c, EX_CONFIG, @$); $$->args = $2.first; $$->nargs = $2.n; }
    | '[' ']' { $$ = node_seq(c, EX_LIST, (expr_list){0}, @$); }
    | '[' list_items ']' { $$ = node_seq(c, EX_LIST, $2, @$); }
    ;

config: NAME '=' expr { $$ = args_add(c, (arg_list){0}, node_arg(c, $1, @1, $3)); }
    | config ',' NAME '=' expr { $$ = args_add(c, $1, node_arg(c, $3, @3, $5)); }
    ;

args: %empty { $$ = (arg_list){0}; } | arg_list | arg_list ',' ;
arg_list: arg { $$ = args_add(c, (arg_list){0}, $1); } | arg_list ',' arg { $$ = args_add(c, $1, $3); } ;
arg: expr { $$ = node_arg(c, S(""), @1, $1); }
    | NAME '=' expr { $$ = node_arg(c, $1, @1, $3); }
    | '*' expr { ast_expr *e = node_new(c, EX_STAR, @$); e->a = $2; $$ = node_arg(c, S(""), @1, e); }
    | POW expr
      { ast_expr *e = node_new(c, EX_STAR, @$), *i = node_new(c, EX_STAR, @$); i->a = $2; e->a = i;
        $$ = node_arg(c, S(""), @1, e); }
    ;

items: item { $$ = (expr_list){$1, $1, 1}; } | items ',' item { $$ = list_add($1, $3); } | items ',' { $$ = $1; } ;
item: expr
    | slice_end ':' slice_end { $$ = node_new(c, EX_SLICE, @$); $$->a = $1; $$->b = $3; }
    ;
slice_end: %empty { $$ = NULL; } | expr ;

%%

static void tile_error(span *at, parse_ctx *c, const char *text)
{
    (void)text; /* only "memory exhausted" comes here: the stack is as deep as it gets */
    fe_report(c->d, D_TOO_DEEP, *at);
}

/* "unexpected X", and what was expected where that is one or two things */
static int yyreport_syntax_error(const yypcontext_t *x, parse_ctx *c)
{
    yysymbol_kind_t expected[4];
    yysymbol_kind_t got = yypcontext_token(x);
    int n = yypcontext_expected_tokens(x, expected, (int)COUNTOF(expected));
    const char *found = got == YYSYMBOL_YYEMPTY ? "nothing" : yysymbol_name(got);
    span at = *yypcontext_location(x);
    bool quiet = c->quiet || c->stopped || got == YYSYMBOL_BAD;
    c->quiet = false;
    if (quiet)
        return 0;
    if (n == 1 && expected[0] == YYSYMBOL_INDENT) {
        fe_report(c->d, D_EMPTY_BLOCK, at);
        return 0;
    }
    if (n == 1)
        fe_report(c->d, D_SYNTAX_1, at, yysymbol_name(expected[0]), found);
    else if (n == 2)
        fe_report(c->d, D_SYNTAX_2, at, yysymbol_name(expected[0]), yysymbol_name(expected[1]), found);
    else
        fe_report(c->d, D_SYNTAX, at, found);
    return 0;
}
